"""Compiled loops over a vocabulary against their definitions: exponentials, sums, truncations, ranks, not a bit by the
rows beside them."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from random_routing.law.base_decoders import Bases, Distribution, plain, under
from random_routing.law.loops import LEAST, exponentials, ranks, softmax
from random_routing.law.race import race
from random_routing.settings import Base

SIZES = (1, 3, 1_023, 1_024, 1_025, 49_157)


def logits(rows: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(seed)) * 4


def digest() -> str:
    """Of what decides tokens under the usual decoders."""
    x = logits(9, 20_001, seed=3)
    usual = [
        Base(temperature=0.7),
        Base(top_k=40),
        Base(top_p=0.95),
        Base(min_p=0.01),
        Base(greedy=True),
        Base(),
    ]
    p, bases = plain(x), Bases.of((usual * 2)[:9])
    law, made = under(p, torch.arange(9), bases), hashlib.sha256()
    tokens = race(law.weights, torch.arange(9), torch.arange(9))
    for part in (p.weights, p.top, p.total, p.moment, law.weights, law.total, tokens):
        made.update(part.numpy().tobytes())
    return made.hexdigest()


def cut_to(weights: Tensor, base: Base) -> Distribution:
    """Rows with these weights, the largest of which is 1, under a base."""
    return under(plain(weights.log()), torch.arange(len(weights)), Bases.of([base] * len(weights)))


def powers(x: np.ndarray) -> np.ndarray:
    made = np.empty_like(x)
    exponentials(x, made, np.empty_like(x))
    return made


def test_exponentials_are_within_two_last_digits() -> None:
    x = -np.concatenate([np.linspace(0, 87, 2_000_001), np.geomspace(1e-30, 1, 10_000)]).astype(np.float32)
    assert np.abs(powers(x) / np.exp(x.astype(np.float64)) - 1).max() < 1.2e-7  # 2^-23


def test_exponentials_at_the_edges() -> None:
    x = np.array(
        [0, -0.0, LEAST, np.nextafter(LEAST, np.float32(-100)), -1e30, -np.inf, np.nan], np.float32
    )
    made = powers(x)
    assert made[:2].tolist() == [1, 1] and made[2] > 1e-38 and made[3:6].tolist() == [0, 0, 0]
    assert np.isnan(made[6])


def test_exponentials_are_pinned() -> None:
    """These bits decide tokens: a change of any operation must be seen."""
    x = -np.arange(90_000, dtype=np.float32) / np.float32(1_024)  # exact, from 0 to -87.9
    made = powers(x)
    assert made[[0, 1_024, 10_240]].tolist() == [1.0, 0.3678794503211975, 4.539993096841499e-05]
    assert hashlib.sha256(made.tobytes()).hexdigest().startswith("bccdc450508a682a")


@pytest.mark.parametrize("size", SIZES)
def test_softmax_is_its_definition(size: int) -> None:
    x = logits(5, size)
    if size > 1:
        x[0, -1] = -torch.inf  # a token that must not be written
    weights, top, total, moment = softmax(x)
    expected = (x - x.amax(1, keepdim=True)).double().exp()
    assert torch.equal(top, x.amax(1, keepdim=True))
    assert torch.allclose(weights.double(), expected, rtol=2e-7, atol=0)
    assert torch.allclose(total, expected.sum(1), rtol=1e-6)
    assert torch.allclose(moment, (expected * x.double().clamp(min=-1e4)).sum(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("place", [0, 1_023, 1_024, 2_999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_finite_shows_anywhere(place: int, dtype: torch.dtype) -> None:
    for bad in (torch.nan, torch.inf):
        x = logits(3, 3_000).to(dtype)
        x[1, place] = bad
        assert softmax(x)[1].isfinite()[:, 0].tolist() == [True, False, True]


@pytest.mark.parametrize("size", SIZES)
def test_halves_are_the_numbers_that_they_stand_for(size: int) -> None:
    """bfloat16 gives the bits of the same numbers in float32."""
    x = logits(4, size).bfloat16()
    for half, whole in zip(softmax(x), softmax(x.float()), strict=True):
        assert torch.equal(half, whole)
    token = torch.arange(4) % size
    assert torch.equal(ranks(x, torch.arange(4), token), ranks(x.float(), torch.arange(4), token))


def test_a_row_has_the_same_bits_beside_any_others() -> None:
    x, row = logits(9, 20_001), torch.arange(9)
    bases = Bases.of([Base(temperature=0.7), Base(top_k=40), Base(top_p=0.95)] * 3)
    together, of_all = softmax(x), under(plain(x), row, bases)
    for i in range(9):
        for part, alone in zip(together, softmax(x[i : i + 1]), strict=True):
            assert torch.equal(part[i], alone[0])
        law = under(plain(x[i : i + 1]), torch.zeros(1).long(), bases[torch.tensor([i])])
        assert torch.equal(law.weights[0], of_all.weights[i]) and law.total[0] == of_all.total[i]


def test_a_processor_without_wide_vectors_has_the_same_bits(tmp_path: Path) -> None:
    code = "from tests.unit.law.test_loops import digest; print(digest())"
    lowered = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=lowered, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == digest()


@pytest.mark.parametrize("k", [1, 7, 512, 10**6])
@pytest.mark.parametrize("size", [600, 65_536, 70_001])
def test_the_largest_are_those_of_a_full_sort(k: int, size: int) -> None:
    """Of spread weights, few that differ, and equal ones."""
    weights = torch.rand(3, size, generator=torch.Generator().manual_seed(k))
    weights[1] = (weights[1] * 5).ceil() / 5
    weights[2] = 1.0
    weights[:2, -1] = 1.0
    law = cut_to(weights, Base(top_k=k))
    p = plain(weights.log()).weights
    edge = p.sort(1, descending=True).values[:, min(k, size) - 1, None]
    assert torch.equal(law.weights, torch.where(p >= edge, p, 0.0))
    assert torch.allclose(law.total, law.weights.double().sum(1), rtol=1e-6)


@pytest.mark.parametrize(("top_p", "count"), [(0.3, 13), (0.9, 85), (0.9999, 340), (1 - 1e-9, 763)])
def test_a_nucleus_is_found_among_few_many_and_all_tokens(top_p: float, count: int) -> None:
    """Of weights 1, a, a², …, the first n have probability 1 − aⁿ of the whole."""
    weights = (0.97324 ** torch.arange(3_000.0).double()).flip(0)[None]
    kept = int((cut_to(weights.float(), Base(top_p=top_p)).weights > 0).sum())
    assert kept == pytest.approx(math.ceil(math.log(1 - top_p) / math.log(0.97324)), abs=2)
    assert kept == pytest.approx(count, abs=2)


def test_a_flat_nucleus_goes_on_beyond_the_tokens_near_the_likeliest() -> None:
    """One token of weight 1 and 20,000 of e^-12, which have 0.11 of the mass: as many as the goal asks for, and all
    that tie."""
    weights = torch.full((1, 20_001), math.exp(-12.0))
    weights[0, 7] = 1.0
    assert (cut_to(weights, Base(top_p=0.5)).weights > 0).sum() == 1
    assert (cut_to(weights, Base(top_p=0.95)).weights > 0).sum() == 20_001
    spread = weights * torch.linspace(0.9, 1.0, 20_001)
    spread[0, 7] = 1.0
    kept, mass = cut_to(spread, Base(top_p=0.95)).weights[0], spread[0].double()
    assert kept[-1] > 0 and kept[0] == 0 and kept[7] == 1
    lost = mass[kept == 0].sum() / mass.sum()
    assert lost == pytest.approx(0.05, abs=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_ranks_are_one_more_than_how_many_are_above(size: int) -> None:
    x = logits(3, size).round()
    row = torch.arange(60) % 3
    token = torch.randint(0, size, (60,), generator=torch.Generator().manual_seed(1))
    above = (x[row] > x[row, token][:, None]).sum(1)
    assert torch.equal(ranks(x, row, token), above + 1)


def test_no_order_of_tokens_makes_a_nucleus_slow() -> None:
    """Logits that rise to the middle and fall again, for which a middle pivot would take a minute."""
    size = 200_000
    x = -(torch.arange(size).float() - size / 2).abs()[None] * (9.0 / size)
    began = time.perf_counter()
    under(plain(x), torch.zeros(1).long(), Bases.of([Base(top_p=0.95)]))
    assert time.perf_counter() - began < 5
