"""On a GPU: kernels against their formulas, models against the CPU, the same bits in any batch. Skipped without one."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from random_routing.decode.beam import beam_search
from random_routing.decode.forcing import score
from random_routing.decode.prompts import Prompts
from random_routing.decode.slots import apart
from random_routing.errors import PipelineError
from random_routing.law.base_decoders import Bases, plain, under
from random_routing.law.probabilities import NotFinite
from random_routing.law.race import clocks, race
from random_routing.models.loading import load_model
from random_routing.models.memory import Memory, within
from random_routing.models.network import LanguageModel
from random_routing.models.shared import Pages
from random_routing.scoring.embedding import Embedder
from random_routing.settings import Base
from tests.helpers.architectures import (
    CAUSAL,
    ENCODER_DECODER,
    LENGTH,
    PROMPTS,
    run,
    same,
    texts_for,
)
from tests.helpers.tiny import saved, tiny_embedder_folder, tiny_model_folder

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

SHAPES = [  # rows, heads, key heads, queries, keys, head size
    (33, 9, 3, 1, 80, 64), (33, 15, 5, 1, 80, 64), (33, 32, 8, 1, 80, 128), (33, 9, 3, 64, 96, 64),
    (33, 4, 1, 1, 100, 256), (5, 4, 4, 20, 37, 80),
]  # fmt: skip
TOLERANCE = {torch.float32: 1e-6, torch.bfloat16: 1e-2}


def formula(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    seen: Tensor,
    scaling: float,
    softcap: float | None,
    bias: Tensor | None,
) -> Tensor:
    groups = query.shape[1] // key.shape[1]
    key, value = (x.double().repeat_interleave(groups, 1) for x in (key, value))
    scores = query.double() @ key.transpose(2, 3) * scaling
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    scores = (scores + (0 if bias is None else bias.double())).masked_fill(~seen, -torch.inf)
    return (scores.softmax(-1) @ value).transpose(1, 2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("biased", [False, True])
def test_attention_is_its_formula(shape: tuple[int, ...], dtype: torch.dtype, biased: bool) -> None:
    from random_routing.models.tiles import attend

    rows, heads, key_heads, length, keys, size = shape
    torch.manual_seed(0)

    def numbers(*sizes: int) -> Tensor:
        return torch.randn(*sizes, device="cuda").to(dtype)

    query = numbers(rows, heads, length, size)
    slots, values = (
        numbers(50, key_heads, keys + 20, size) for _ in range(2)
    )  # the last positions are unwritten
    table = torch.randint(0, 50, (rows, keys + 20), dtype=torch.int32, device="cuda")
    pages = Pages(table, torch.tensor(keys, dtype=torch.int32, device="cuda"))
    late = (
        torch.arange(keys + 20, device="cuda")
        > torch.arange(length, device="cuda")[:, None] + keys - length
    )
    seen = ~late[None, None].repeat(rows, 1, 1, 1)
    seen[..., :3] = False  # left padding
    bias, softcap = (
        (numbers(1, length, keys + 20, heads).permute(0, 3, 1, 2), 5.0) if biased else (None, None)
    )
    made = attend(query, slots, values, seen, 0.1, softcap, bias, pages)
    key, value = pages.dense(slots), pages.dense(values)
    expected = formula(query, key, value, seen, 0.1, softcap, bias)
    assert (made.double() - expected).norm() < TOLERANCE[dtype] * expected.norm()
    # Without pages, and a few rows alone: the same bits.
    assert torch.equal(attend(query, key, value, seen, 0.1, softcap, bias)[:3], made[:3])
    few = Pages(table[:3], pages.end)
    assert torch.equal(attend(query[:3], slots, values, seen[:3], 0.1, softcap, bias, few), made[:3])


def test_keys_are_kept_where_they_belong() -> None:
    from random_routing.models.tiles import keep

    key, value = (torch.randn(4, 5, 3, size, device="cuda").transpose(1, 2) for size in (64, 80))
    made = [torch.zeros(9, 3, 12, size, device="cuda") for size in (64, 80)]
    expected = [x.clone() for x in made]
    slots, places = torch.tensor([3, 1, 7, 8], device="cuda"), torch.arange(4, 9, device="cuda")
    keep(key, value, made[0], made[1], slots, places)
    for one, states in zip(expected, (key, value), strict=True):
        one[slots[:, None], :, places] = states.transpose(1, 2)
    assert all(torch.equal(one, other) for one, other in zip(made, expected, strict=True))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_gated_product_is_its_formula(dtype: torch.dtype) -> None:
    from random_routing.models.fused import fuse

    config = LlamaConfig(
        vocab_size=10, hidden_size=48, intermediate_size=100, num_hidden_layers=1, num_attention_heads=4
    )
    torch.manual_seed(0)
    mlp = LlamaForCausalLM(config).model.layers[0].mlp.to("cuda", dtype)
    x = torch.randn(7, 3, 48, device="cuda", dtype=dtype) * 9
    with torch.inference_mode():
        expected = mlp(x)
        fuse(mlp)
        made = mlp(x)
    assert mlp.forward.func.__name__ == "gated"
    assert (made - expected).norm() < TOLERANCE[dtype] * expected.norm()


def test_a_step_looks_up_what_a_processor_does() -> None:
    """Winners and ranks exactly, weights to the last digits; −∞ is a token that must not be written."""
    torch.manual_seed(0)
    logits = torch.randn(40, 50_001) * 4
    logits[:, 7] = -torch.inf
    p, on_gpu = plain(logits), plain(logits.cuda())
    assert torch.allclose(p.weights, on_gpu.weights.cpu(), rtol=1e-5, atol=0)
    assert torch.equal(p.top, on_gpu.top.cpu())
    assert torch.allclose(p.entropy(), on_gpu.entropy().cpu(), rtol=1e-5)
    row, token = torch.arange(120) % 40, torch.randint(0, 50_001, (120,))
    assert torch.equal(p.ranks(row, token), on_gpu.ranks(row.cuda(), token.cuda()).cpu())
    seed = torch.randint(-(2**63), 2**63 - 1, (30,)).repeat(4)
    assert torch.equal(clocks(seed, 50_001), clocks(seed.cuda(), 50_001).cpu())
    assert torch.equal(race(p.weights, row, seed), race(p.weights.cuda(), row.cuda(), seed.cuda()).cpu())
    half = logits.bfloat16()
    assert torch.equal(plain(half.cuda()).weights, plain(half.float().cuda()).weights), (
        "widened as it is read"
    )
    with pytest.raises(NotFinite):
        plain(logits.index_fill(1, torch.tensor([5]), torch.nan).cuda())


def test_truncations_keep_what_a_processor_keeps() -> None:
    """A nucleus may end a token sooner or later where its mass is p to the last digits of float32."""
    bases = [
        Base(), Base(temperature=0.7), Base(greedy=True), Base(top_k=1), Base(top_k=50), Base(top_k=60_000),
        Base(top_p=0.8), Base(top_p=0.999), Base(min_p=0.1), Base(temperature=1.3, top_k=200, top_p=0.5),
        Base(top_k=30, min_p=0.4),
    ]  # fmt: skip
    torch.manual_seed(0)
    logits = torch.randn(12, 50_001) * 4
    logits[:, 7], logits[1], logits[2] = -torch.inf, logits[1].round(), 0.0  # ties, and nothing but ties
    row, base = torch.arange(12).repeat_interleave(len(bases)), torch.arange(len(bases)).repeat(12)
    law = under(plain(logits), row, Bases.of(bases)[base])
    on_gpu = under(plain(logits.cuda()), row.cuda(), Bases.of(bases, "cuda")[base.cuda()])
    other = (law.weights > 0) != (on_gpu.weights.cpu() > 0)
    wide = torch.tensor([bases[number].top_p == 0.999 for number in base.tolist()])
    assert not other[~wide].any() and other.sum(1).max() <= 1
    assert torch.allclose(
        law.weights.masked_fill(other, 0), on_gpu.weights.cpu().masked_fill(other, 0), rtol=1e-5
    )
    assert torch.allclose(law.total, on_gpu.total.cpu(), rtol=1e-6)


@pytest.mark.parametrize("arch", [*CAUSAL, *ENCODER_DECODER])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_same_bits_in_any_batch(arch: str, dtype: str, tmp_path: Path) -> None:
    """And in fp32 the tokens that a CPU gives."""
    folder = tiny_model_folder(tmp_path, arch)
    try:
        model = load_model(folder, dtype, "cuda")
    except PipelineError as error:
        assert "device: cpu" in str(error) and "\n" not in str(error)
        pytest.skip("refused on a GPU")
    every = texts_for(model)
    reference = run(model, every, 64)
    for texts, batch_size, grow in [(every, 3, apart), (every[::-2], 1_000, apart)]:
        made = run(model, texts, batch_size, grow)
        assert not [text for text in texts if not same(reference[text], made[text])]
    if dtype == "float32":
        on_cpu = run(load_model(folder), every, 64)
        far = [
            (text, reference[text].token_ids, on_cpu[text].token_ids)
            for text in every
            if not np.array_equal(reference[text].token_ids, on_cpu[text].token_ids)
            or not np.allclose(reference[text].model_logprobs, on_cpu[text].model_logprobs, atol=1e-3)
        ]
        assert not far


@pytest.mark.parametrize("arch", ["llama", "gemma3", "marian"])
def test_scores_and_beams_are_those_of_a_cpu(arch: str, tmp_path: Path) -> None:
    """And scores have the same bits in any batch."""
    folder = tiny_model_folder(tmp_path, arch)
    on_cpu, on_gpu = load_model(folder), load_model(folder, "float32", "cuda")
    prompts = Prompts(PROMPTS, np.arange(3).repeat(7), LENGTH + 16)
    texts = [[5 + i, 40, 9 + i % 3, 77] * (1 + i % 4) for i in range(21)]
    (expected, _), (found, _), (other, _) = (
        score(model, prompts, texts, batch) for model, batch in ((on_cpu, 64), (on_gpu, 64), (on_gpu, 3))
    )
    for one, two, three in zip(expected, found, other, strict=True):
        assert np.allclose(one, two, atol=1e-3) and np.array_equal(two, three)
    prompts = Prompts(PROMPTS, np.arange(3), LENGTH + 16)
    beams = [beam_search(model, prompts, 3, 6, frozenset({2}), 64) for model in (on_cpu, on_gpu)]
    for one, two in zip(*beams, strict=True):
        assert np.array_equal(one.token_ids, two.token_ids)


def test_vectors_are_those_of_a_cpu(tmp_path: Path) -> None:
    """And have the same bits whatever texts are beside them."""
    folder = tiny_embedder_folder(tmp_path)
    texts = [f"text {'ab ' * (i % 13)}{i}" for i in range(40)] + ["", "x" * 500]
    embedder = Embedder(folder, "cuda")
    found = embedder(texts)
    assert np.allclose(found, Embedder(folder)(texts), atol=1e-5)
    assert np.array_equal(embedder(texts[::-3]), found[::-3])


@pytest.fixture
def memory_of() -> Iterator[Callable[[float], None]]:
    """Sets how many bytes of the GPU this process may take."""
    total = torch.cuda.mem_get_info()[1]
    yield lambda size: torch.cuda.set_per_process_memory_fraction(min(1.0, size / total))
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_too_little_memory_is_met_with_fewer_rows(
    tmp_path: Path, memory_of: Callable[[float], None]
) -> None:
    """The same bits in half of the memory; one line where it is too little for anything, or for the weights."""
    folder = tiny_model_folder(tmp_path / "tiny", "llama")
    config = LlamaConfig(vocab_size=300, hidden_size=1_024, intermediate_size=4_096, num_hidden_layers=2)
    wide = saved(LlamaForCausalLM(config), tmp_path / "wide")
    texts = [[5 + i % 90, 40 + i % 7, 9 + i % 3, 77] for i in range(30_000)]

    def attempt(model: LanguageModel, items: list[int], rows: int) -> tuple[list[np.ndarray], int]:
        prompts = Prompts(PROMPTS, np.array(items) % 3, LENGTH + 16)
        return score(model, prompts, [texts[i] for i in items], rows)[0], rows

    def reserved(model: LanguageModel) -> int:
        model.forget()
        gc.collect()
        return torch.cuda.memory_reserved()

    model, every = load_model(folder, "float32", "cuda"), list(range(len(texts)))
    before = reserved(model)
    torch.cuda.reset_peak_memory_stats()
    expected, _ = attempt(model, every, len(texts))
    needed = torch.cuda.max_memory_reserved() - before
    memory_of(reserved(model) + 0.75 * needed)
    memory = Memory(model.forget)
    parts = list(within(memory, partial(attempt, model), every, len(texts)))
    assert max(rows for _, rows in parts) < len(texts) == sum(len(part) for part, _ in parts)
    found = [values for part, _ in parts for values in part]
    assert all(np.array_equal(one, two) for one, two in zip(expected, found, strict=True))
    memory_of(reserved(model))
    with pytest.raises(PipelineError, match="not enough memory for one text and 2 rows"):
        list(within(Memory(model.forget), partial(attempt, model), every[:2], 2))
    with pytest.raises(PipelineError, match="weights do not fit into the free memory"):
        load_model(wide, "float32", "cuda")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(300, 32), (50_257, 64), (33, 100), (64, 576)])
def test_tiled_products_are_their_formula(shape: tuple[int, int], dtype: torch.dtype) -> None:
    """And have the same bits beside any number of rows."""
    from random_routing.models.tiled_products import TiledLinear, counts_rows

    torch.manual_seed(0)
    linear = torch.nn.Linear(shape[1], shape[0], device="cuda", dtype=dtype)
    tiled, x = (
        TiledLinear(linear.weight, linear.bias),
        torch.randn(5, 7, shape[1], device="cuda", dtype=dtype),
    )
    expected = x.double() @ linear.weight.double().T + linear.bias.double()
    assert (tiled(x).double() - expected).norm() < TOLERANCE[dtype] * expected.norm()
    assert not counts_rows(tiled, linear.weight)
