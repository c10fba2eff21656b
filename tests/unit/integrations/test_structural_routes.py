"""Structural routes around `generate`: the law, its ends, and an untouched model afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache

from random_routing.errors import PipelineError
from random_routing.integrations.structural_routes import random_routing
from random_routing.law.noise import Source, spread, uniform
from random_routing.models.random_paths import along, choices, parts_of
from random_routing.settings import Route
from tests.helpers.tiny import tiny_model_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_model_folder(tmp_path_factory.mktemp("tiny"))).eval()


GREEDY: dict[str, Any] = {"do_sample": False, "max_new_tokens": 12, "min_new_tokens": 12, "pad_token_id": 0}
PROMPTS = torch.tensor([[1, 40, 77, 9], [1, 200, 31, 8]])


def test_the_context_at_its_ends(model: Any) -> None:
    """Rate 0, and a path that drops nothing, are the model itself; afterwards it is untouched."""
    plain = model.generate(PROMPTS, **GREEDY)
    with random_routing(model, Route("heads", drop=0.6)):
        assert torch.equal(model.generate(PROMPTS, **GREEDY), plain)
    with random_routing(model, Route("layers", drop=0.0), q=0.5, lam=0.5):
        assert torch.equal(model.generate(PROMPTS, **GREEDY), plain)
    with random_routing(model, Route("heads", drop=0.6), q=1.0):
        assert not torch.equal(model.generate(PROMPTS, **GREEDY), plain)
    assert torch.equal(model.generate(PROMPTS, **GREEDY), plain)
    assert not model._forward_hooks and not model._forward_pre_hooks


def test_the_context_mixes_with_the_path(model: Any) -> None:
    """log P of every step of `generate` equals the closed form from whole calls of the model."""
    route, r = Route("heads", drop=0.5), 1 - 0.7 * 0.8
    with random_routing(model, route, q=0.3, lam=0.2, seed=5):
        output = model.generate(PROMPTS, **GREEDY, output_logits=True, return_dict_in_generate=True)
    parts = parts_of(model)
    for step, found in enumerate(output.logits[:5]):
        ids = output.sequences[:, : 4 + step]
        words = [Source(5, "context", "", row).words("path_q", 9)[step] for row in range(2)]
        u = uniform(spread(torch.from_numpy(np.array(words).view(np.int64)), parts.width(route)))
        with torch.no_grad():
            p = torch.softmax(model(ids).logits[:, -1], -1)
            with along(parts, route, choices(parts, route, u)):
                other = torch.softmax(model(ids).logits[:, -1], -1)
        assert torch.allclose(found, (r * other + (1 - r) * p).log(), atol=1e-4)


def test_the_context_refuses(model: Any) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"route": Route("uniform")}, "heads, layers"),
        ({"route": Route("heads", drop=1.0)}, "drop < 1"),
        ({"route": Route("heads", drop=0.1), "q": 2.0}, "`q` has to be"),
    ]
    for arguments, message in wrong:
        with pytest.raises(ValueError, match=message), random_routing(model, **arguments):
            pass
    with random_routing(model, Route("heads", drop=0.1), q=0.5):
        with pytest.raises(ValueError, match="past_key_values by its name"):
            model(PROMPTS, return_dict=False)
        with pytest.raises(ValueError, match="past_key_values by its name"):
            model(PROMPTS, None, None, DynamicCache(config=model.config))
    with (
        pytest.raises(PipelineError, match="LlamaForCausalLM: route experts: a dense model"),
        random_routing(model, Route("experts"), q=0.1),
    ):
        pass
