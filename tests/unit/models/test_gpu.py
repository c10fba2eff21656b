"""On a GPU: kernels against their formulas, models against the CPU, the same bits in any batch. Skipped without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from random_routing.decode.slots import apart
from random_routing.errors import PipelineError
from random_routing.law.base_decoders import NotFinite, plain
from random_routing.law.race import clocks, race
from random_routing.models.loading import load_model
from random_routing.models.shared import Pages
from tests.helpers.tiny import tiny_model_folder
from tests.unit.models.test_architectures import CAUSAL, ENCODER_DECODER, run, same, texts_for

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

SHAPES = [  # rows, heads, key heads, queries, keys, head size
    (33, 9, 3, 1, 80, 64), (33, 9, 3, 64, 96, 64), (33, 4, 1, 1, 100, 256), (5, 4, 4, 20, 37, 80),
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
    bias, softcap = (numbers(1, heads, length, keys + 20), 5.0) if biased else (None, None)
    made = attend(query, slots, values, seen, 0.1, softcap, bias, pages)
    key, value = pages.dense(slots), pages.dense(values)
    expected = formula(query, key, value, seen, 0.1, softcap, bias)
    assert (made.double() - expected).norm() < TOLERANCE[dtype] * expected.norm()
    # Without pages, and a few rows alone: the same bits.
    assert torch.equal(attend(query, key, value, seen, 0.1, softcap, bias)[:3], made[:3])
    few = Pages(table[:3], pages.end)
    assert torch.equal(attend(query[:3], slots, values, seen[:3], 0.1, softcap, bias, few), made[:3])


def test_a_step_looks_up_what_a_processor_does() -> None:
    """Winners and ranks exactly, weights to the last digits; −∞ is a token that must not be written."""
    torch.manual_seed(0)
    logits = torch.randn(40, 50_001) * 4
    logits[:, 7] = -torch.inf
    p, on_gpu = plain(logits), plain(logits.cuda())
    assert torch.allclose(p.weights, on_gpu.weights.cpu(), rtol=1e-6, atol=0)
    assert torch.equal(p.top, on_gpu.top.cpu())
    assert torch.allclose(p.entropy(), on_gpu.entropy().cpu(), rtol=1e-6)
    row, token = torch.arange(120) % 40, torch.randint(0, 50_001, (120,))
    assert torch.equal(p.ranks(row, token), on_gpu.ranks(row.cuda(), token.cuda()).cpu())
    seed = torch.randint(-(2**63), 2**63 - 1, (30,)).repeat(4)
    assert torch.equal(clocks(seed, 50_001), clocks(seed.cuda(), 50_001).cpu())
    assert torch.equal(race(p.weights, row, seed), race(p.weights.cuda(), row.cuda(), seed.cuda()).cpu())
    with pytest.raises(NotFinite):
        plain(logits.index_fill(1, torch.tensor([5]), torch.nan).cuda())


@pytest.mark.parametrize("arch", [*CAUSAL, *ENCODER_DECODER])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_same_bits_in_any_batch(arch: str, dtype: str, tmp_path: Path) -> None:
    """And in fp32 the tokens that a CPU gives."""
    folder = tiny_model_folder(tmp_path, arch)
    try:
        model = load_model(folder, dtype, "cuda")
    except PipelineError as error:
        assert "use device: cpu" in str(error) or "or device: cpu" in str(error)
        pytest.skip("refused on a GPU")
    every = texts_for(model)
    reference = run(model, every, 64)
    for texts, batch_size, grow in [(every, 3, apart), (every[::-2], 1_000, apart)]:
        made = run(model, texts, batch_size, grow)
        assert all(same(reference[text], made[text]) for text in texts)
    if dtype == "float32":
        on_cpu = run(load_model(folder), every, 64)
        for text in every:
            assert np.array_equal(reference[text].token_ids, on_cpu[text].token_ids)
            assert np.allclose(reference[text].model_logprobs, on_cpu[text].model_logprobs, atol=1e-3)
