"""Rows run again along random paths inside the decoder, beside the cache of the model's own path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from random_routing.decode import along_path
from random_routing.decode.loop import decode
from random_routing.decode.prompts import Prompts
from random_routing.decode.sampler import Sampler
from random_routing.law.cells import NO_ROUTE, Decoder
from random_routing.law.noise import Source
from random_routing.law.origin import Origin
from random_routing.law.vocabulary import Vocabulary
from random_routing.models.loading import load_model
from random_routing.models.random_paths import along, choices, parts_of
from random_routing.settings import Base, Route
from tests.helpers.tiny import tiny_model_folder


def slots(cache: Any) -> Any:
    return cache.own.slot_layers if hasattr(cache, "own") else cache.slot_layers


@pytest.mark.parametrize("arch", ["llama", "gemma3", "gpt2", "mixtral", "marian", "t5"])
@pytest.mark.parametrize("kind", ["heads", "layers", "experts"])
def test_the_decoder_walks_the_same_paths(arch: str, kind: str, tmp_path: Path, monkeypatch: Any) -> None:
    """What `decode` gets for a path equals one whole call of the network along it; nothing special is drawn."""
    if kind == "experts" and arch != "mixtral":
        pytest.skip("a dense model")
    model = load_model(tiny_model_folder(tmp_path, arch))
    seen: list[tuple[int, Tensor, Tensor]] = []
    call = along_path.Walk.__call__

    def record(self: Any, row: Tensor, route: Route, u: Tensor) -> Tensor:
        layers = slots(self.slots.cache)
        filled = layers[0].max_length - (steps - self.step)  # of the only row
        own = [layer.all_keys[0, :, :filled].clone() for layer in layers]
        logits = call(self, row, route, u)
        for layer, before in zip(layers, own, strict=True):
            assert torch.equal(layer.all_keys[0, :, :filled], before), "the model's own path is left alone"
        seen.append((self.step, choices(self.parts, route, u), logits.clone()))
        return logits

    monkeypatch.setattr(along_path.Walk, "__call__", record)
    route, steps, prompt = Route(kind, drop=0.4 if kind != "experts" else 0.0), 6, (5, 9, 33, 120)
    source, allowed = Source(1, "t", "a", 0), np.arange(10, 300)
    sampler = Sampler(
        [Decoder(Base(), 1.0, 0.0, route, NO_ROUTE)], np.array([0]), np.array([0]), source.steps(steps)[None],
        Vocabulary(300, allowed, frozenset({2})), sources=[source],
    )  # fmt: skip
    work = decode(model, Prompts.of([prompt], 16), sampler, steps, 64)
    tokens = sampler.made.texts()[0].token_ids
    assert np.isin(tokens, allowed).all() and (sampler.made.texts()[0].routes == Origin.Q).all()
    assert (
        work.walked == steps
        and work.rows == 2 * steps
        and [step for step, _, _ in seen] == list(range(steps))
    )
    for step, path, logits in seen:
        text = [*(model.shape.decoder_start or prompt), *tokens[:step].tolist()]
        ids = torch.tensor([text, text])
        with (
            along(
                parts_of(model.network),
                route,
                torch.cat([path, path]),
            ),
            torch.inference_mode(),
        ):
            if model.shape.decoder_start:
                source_ids = torch.tensor([prompt, prompt])
                whole = model.network(input_ids=source_ids, decoder_input_ids=ids).logits[0, -1]
            else:
                whole = model.network(ids).logits[0, -1]
        assert torch.allclose(whole, logits[0], atol=1e-3)
