"""Structural routes: equal to the model without dropping, to a hand-built model along a fixed path."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, DynamicCache

from random_routing.errors import PipelineError
from random_routing.models.folder import read_shape
from random_routing.models.random_paths import along, check_parts, choices, parts_of
from random_routing.models.shape import experts_of, heads_of
from random_routing.settings import Route
from tests.helpers.tiny import tiny_model_folder

HEADS, LAYERS, EXPERTS = Route("heads", drop=0.5), Route("layers", drop=0.5), Route("experts")
DENSE = ("llama", "gemma3", "gpt2", "opt", "qwen3")
MOE = ("mixtral", "olmoe", "qwen2_moe")
BOTH = ("t5", "marian", "m2m_100")
IDS = torch.tensor([[1, 40, 77, 9, 130], [1, 200, 31, 31, 8]])


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[str, nn.Module] = {}

    def network(arch: str) -> Any:
        if arch not in made:
            folder = tiny_model_folder(tmp_path_factory.mktemp(arch), arch)
            auto = AutoModelForSeq2SeqLM if arch in BOTH else AutoModelForCausalLM
            made[arch] = auto.from_pretrained(folder).eval()
        return made[arch]

    return network


@torch.no_grad()
def last_logits(network: Any, ids: Tensor = IDS, **kwargs: Any) -> Tensor:
    if network.config.is_encoder_decoder:
        return network(input_ids=IDS, decoder_input_ids=ids, **kwargs).logits[:, -1]
    return network(ids, **kwargs).logits[:, -1]


def draw(network: Any, route: Route, seed: int = 0, rows: int = 2) -> Tensor:
    parts = parts_of(network)
    u = np.random.Generator(np.random.Philox(seed)).random((rows, parts.width(route)))
    return choices(parts, route, torch.from_numpy(u))


@pytest.mark.parametrize("arch", [*DENSE, *MOE, *BOTH])
@pytest.mark.parametrize("kind", ["heads", "layers"])
def test_dropping_nothing_is_the_model_exactly(networks: Any, arch: str, kind: str) -> None:
    network = networks(arch)
    plain = last_logits(network)
    with along(parts_of(network), Route(kind, drop=0.0), draw(network, Route(kind, drop=0.0))):
        assert torch.equal(last_logits(network), plain)
    with along(parts_of(network), Route(kind, drop=0.9), draw(network, Route(kind, drop=0.9))):
        assert not torch.allclose(last_logits(network), plain, atol=1e-3)
    assert torch.equal(last_logits(network), plain), "no hook stays behind"


def without_heads(network: Any, kept: Tensor) -> Any:
    """A copy whose output projections ignore the heads that are not kept, (layers, heads)."""
    copied = copy.deepcopy(network)
    for projection, keep in zip(parts_of(copied).projections, kept, strict=True):
        weight: Any = projection.weight  # type: ignore[union-attr]
        rows = (
            weight.data if type(projection).__name__ == "Conv1D" else weight.data.T
        )  # (heads · size, out)
        rows.unflatten(0, (len(keep), -1))[~keep] = 0.0
    return copied


@pytest.mark.parametrize("arch", [*DENSE, *BOTH])
def test_a_fixed_path_equals_a_model_without_those_heads(networks: Any, arch: str) -> None:
    """The hand-built model reads one token after the full model's cache, or a single token alone."""
    network = networks(arch)
    kept = draw(network, HEADS, seed=4)
    kept[1] = kept[0]
    assert 0 < kept[0].float().mean() < 1 and kept.any(2).all()
    built = without_heads(network, kept[0])
    with along(parts_of(network), HEADS, kept):
        assert torch.allclose(last_logits(network, IDS[:, :1]), last_logits(built, IDS[:, :1]), atol=1e-6)
        whole = last_logits(network)
    if arch not in BOTH:
        past = DynamicCache(config=network.config)
        last_logits(network, IDS[:, :-1], past_key_values=past)
        assert torch.allclose(whole, last_logits(built, IDS[:, -1:], past_key_values=past), atol=1e-5)


@pytest.mark.parametrize("arch", ["llama", "gpt2", "marian"])
def test_a_fixed_path_equals_a_model_without_those_layers(networks: Any, arch: str) -> None:
    network = networks(arch)
    skipped = torch.tensor([[False, True, False]] * 2)
    built = copy.deepcopy(network)
    decoder = built.get_decoder()
    name = "h" if arch == "gpt2" else "layers"
    setattr(
        decoder, name, nn.ModuleList([layer for i, layer in enumerate(getattr(decoder, name)) if i != 1])
    )
    decoder.config.num_hidden_layers = 2
    with along(parts_of(network), LAYERS, skipped):
        found = last_logits(network, IDS[:, :1], use_cache=False)
    assert torch.allclose(found, last_logits(built, IDS[:, :1], use_cache=False), atol=1e-6)


def test_rows_follow_their_own_paths(networks: Any) -> None:
    network = networks("llama")
    for route in (HEADS, LAYERS):
        path = draw(network, route, seed=2)
        with along(parts_of(network), route, path):
            both = last_logits(network)
        for row in range(2):
            with along(parts_of(network), route, path[row : row + 1]):
                assert torch.allclose(last_logits(network, IDS[row : row + 1])[0], both[row], atol=1e-5)


def test_only_the_last_position_leaves_its_path(networks: Any) -> None:
    """Keys and values of what came before are those of the model's own path."""
    network = networks("gpt2")
    plain: Any = DynamicCache(config=network.config)
    routed: Any = DynamicCache(config=network.config)
    last_logits(network, past_key_values=plain)
    with along(parts_of(network), HEADS, draw(network, HEADS)):
        last_logits(network, past_key_values=routed)
    for own, other in zip(plain.layers, routed.layers, strict=True):
        assert torch.equal(own.keys[:, :, :-1], other.keys[:, :, :-1])
    assert not torch.equal(plain.layers[1].keys[:, :, -1], routed.layers[1].keys[:, :, -1])


@pytest.mark.parametrize("arch", MOE)
def test_routers_send_the_token_to_the_drawn_experts(networks: Any, arch: str) -> None:
    network = networks(arch)
    parts, seen = parts_of(network), []
    path = draw(network, EXPERTS, seed=1)
    handles: list[Any] = []

    def look(module: nn.Module, args: Any, output: Any) -> None:
        seen.append(tuple(part.clone() for part in output))

    for router in parts.routers:
        handles.append(router.register_forward_hook(look))  # sees the router's own output
    own_logits = last_logits(network)
    own = list(seen)
    seen.clear()
    for handle in handles:
        handle.remove()
    with along(parts, EXPERTS, path):
        handles = [router.register_forward_hook(look) for router in parts.routers]
        routed_logits = last_logits(network)
    for handle in handles:
        handle.remove()
    assert len(parts.routers) == 3 and not torch.allclose(own_logits, routed_logits, atol=1e-3)
    for number, ((_, weights, indices), before) in enumerate(zip(seen, own, strict=True)):
        positions = indices.unflatten(0, (2, -1))  # (B, T, k)
        assert positions[:, -1].tolist() == path[:, number, : indices.shape[1]].tolist()
        if number == 0:  # later layers see other states
            assert torch.equal(positions[:, :-1], before[2].unflatten(0, (2, -1))[:, :-1])
            assert torch.equal(weights, before[1])


def test_random_paths_follow_their_law(networks: Any) -> None:
    """20,000 paths; each share within 4.5 standard deviations, false alarm below 1e-4 in all."""
    network, rows = networks("llama"), 20_000
    kept = draw(network, HEADS, rows=rows).numpy()
    # four heads: each kept with 1/2, and the one that stays when all four are dropped (1/16)
    rate = 0.5 + 0.5**4 / 4
    assert np.abs(kept.mean(0) - rate).max() < 4.5 * np.sqrt(rate * (1 - rate) / rows)
    assert kept.any(2).all()
    skipped = draw(network, LAYERS, rows=rows).numpy()
    assert not skipped[:, [0, 2]].any() and abs(skipped[:, 1].mean() - 0.5) < 4.5 * 0.5 / np.sqrt(rows)
    experts = draw(networks("mixtral"), EXPERTS, rows=rows).numpy()
    assert (np.sort(experts, axis=2) == np.arange(4)).all()
    counts = np.stack([np.bincount(experts[:, 0, place], minlength=4) for place in range(4)])
    assert np.abs(counts / rows - 0.25).max() < 4.5 * np.sqrt(0.25 * 0.75 / rows)


def test_a_model_without_the_parts_is_refused_by_name(networks: Any, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="smollm: route experts: a dense model"):
        check_parts("smollm", EXPERTS, 4, 3, 0)
    with pytest.raises(PipelineError, match="m: route layers: of its 2 layers the first and the last"):
        check_parts("m", LAYERS, 4, 2, 0)
    with pytest.raises(PipelineError, match="m: route heads: it has no known attention head"):
        check_parts("m", HEADS, 0, 3, 0)

    class Odd(nn.Module):
        config = networks("llama").config

        def get_decoder(self) -> nn.Module:
            return nn.Linear(2, 2)

    with pytest.raises(PipelineError, match="Odd: its layers are not found"):
        parts_of(Odd())
    found = parts_of(networks("llama"))
    with pytest.raises(PipelineError, match="LlamaDecoderLayer: route heads: the projection of its heads"):
        replace(found, projections=(None, *found.projections[1:])).check(HEADS)
    with pytest.raises(PipelineError, match="LlamaDecoderLayer: route experts: its routers are not found"):
        found.check(EXPERTS)
    shape = read_shape(tiny_model_folder(tmp_path, "mixtral"))
    assert (shape.heads, shape.experts, shape.layers) == (4, 4, 3)
    assert heads_of(networks("t5").config) == 4 and experts_of(networks("marian").config) == 0
