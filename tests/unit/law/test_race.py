"""Clocks by hand, by literals and in law; races against their definition; the same bits by both routines."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from random_routing.law.race import _winners, clocks, race

SEEDS = torch.tensor([0, 1, -1, 1234567, 2**63 - 1, -(2**63)])


def split_mix(seed: int, count: int) -> list[int]:
    """SplitMix64 in plain integers (Steele, Lea & Flood 2014)."""
    words, mask = [], 2**64 - 1
    for i in range(1, count + 1):
        x = (seed + i * 0x9E3779B97F4A7C15) & mask
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        words.append(x ^ (x >> 31))
    return words


def exponentials(seed: int, count: int) -> np.ndarray:
    """The clocks of a seed by the library's logarithm: −log u, u in (0, 1) the odd multiple of 2^-53 of each word."""
    return np.array([-math.log((word >> 11 | 1) * 2.0**-53) for word in split_mix(seed, count)])


def test_the_generator_is_the_published_one() -> None:
    """The first outputs for 1234567 stand in its authors' test files."""
    assert split_mix(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_clocks_are_the_exponentials_of_their_words() -> None:
    for times, seed in zip(clocks(SEEDS, 3_000), SEEDS.tolist(), strict=True):
        expected = exponentials(seed % 2**64, 3_000)
        assert np.abs(times.double().numpy() / expected - 1).max() < 4e-7


def test_clocks_are_pinned() -> None:
    """These bits are results' identity, on every processor: a change of any operation must be seen."""
    assert clocks(torch.tensor([1234567]), 4).view(torch.int32).tolist() == [
        [1065769248, 1071650942, 1059157762, 1068627052]  # 1.04959488, 1.75074744, 0.63072217, 1.39027166
    ]


@pytest.mark.parametrize("size", [1, 7, 1_023, 1_024, 1_025, 70_001])
def test_both_routines_have_the_same_winners(size: int) -> None:
    """The one compiled for the processor, and tensor operations, as on a GPU: among flat weights, few tokens, and
    weights that lie so near each other's times that a single last digit would show."""
    generator = torch.Generator().manual_seed(size)
    seeds = torch.randint(-(2**63), 2**63 - 1, (7,), generator=generator)
    weights = torch.rand(3, size, generator=generator)
    weights[1] = (weights[1] > 0.9).float()
    close = clocks(seeds, size)  # w/E is 1 for every token, to the last digit
    for given in (weights, close, close * (1 + 2**-23)):
        row, clock = torch.arange(14) % len(given), torch.arange(14) // 2
        row[::2] = clock[::2] % len(given)
        speed = given[row] / clocks(seeds, size)[clock]  # the least E/w is the largest w/E
        assert _winners(given, row, seeds, clock).tolist() == [int(np.argmax(one)) for one in speed.numpy()]


def test_a_clock_depends_on_its_seed_and_token_alone() -> None:
    many = clocks(SEEDS, 5_000)
    assert torch.equal(clocks(SEEDS[3:4], 2_001), many[3:4, :2_001])
    assert torch.equal(clocks(SEEDS.flip(0), 5_000), many.flip(0))


def test_clocks_are_exponential_and_independent() -> None:
    """Kolmogorov–Smirnov within a seed, over seeds next to each other, and of the smallest of many, which decide
    races; correlations of neighbours. Each false alarm below 1e-4."""
    times = clocks(torch.arange(1_000), 1_000).double().numpy()
    for some in (times[7], times[:, 7], times.min(1) * 1_000, times.min(0) * 1_000):
        assert stats.kstest(some, "expon").pvalue > 1e-5
    assert times.min() > 0 and abs(times.mean() - 1) < 4.5e-3
    for one, other in ((times[:, :-1], times[:, 1:]), (times[:-1], times[1:])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4.5e-3


def test_a_race_is_won_by_the_least_time_over_weight() -> None:
    generator = torch.Generator().manual_seed(2)
    weights = torch.rand(4, 3_000, generator=generator) ** 8
    row = torch.tensor([2, 0, 2, 3, 2, 1])
    seed = SEEDS[torch.tensor([0, 1, 3, 4, 0, 5])]
    expected = [
        int((exponentials(s % 2**64, 3_000) / weights[r].double().numpy()).argmin())
        for r, s in zip(row.tolist(), seed.tolist(), strict=True)
    ]
    assert race(weights, row, seed).tolist() == expected


def test_what_has_no_weight_never_wins() -> None:
    weights = torch.zeros(3, 1_000)
    weights[0, 700], weights[1, 255], weights[2, 999] = 1.0, 1e-38, 1.0
    seeds = torch.arange(300)
    assert race(weights, seeds % 3, seeds).tolist() == [700, 255, 999] * 100


def test_a_race_beside_others_is_the_same_race() -> None:
    weights = torch.rand(6, 700, generator=torch.Generator().manual_seed(4))
    rows, seeds = torch.arange(36) // 6, SEEDS.repeat(6)
    together = race(weights, rows, seeds)
    order = torch.randperm(36, generator=torch.Generator().manual_seed(5))
    assert torch.equal(race(weights, rows[order], seeds[order]), together[order])
    alone = [
        race(weights[r, None], torch.zeros(1).long(), s[None]) for r, s in zip(rows, seeds, strict=True)
    ]
    assert torch.equal(torch.cat(alone), together)


def test_near_distributions_mostly_choose_alike() -> None:
    """Over 20,000 seeds p = (.5, .3, .2) and p' = (.45, .33, .22), TV .05, part with probability at most
    2·TV/(1 + TV) = .095 (the bound of exponential races); by independent numbers they would in .63."""
    weights, seeds = torch.tensor([[0.5, 0.3, 0.2], [0.45, 0.33, 0.22]]), torch.arange(20_000)
    one, other = (race(weights, torch.full_like(seeds, row), seeds) for row in (0, 1))
    assert 0.05 - 0.007 < (one != other).double().mean() < 0.095 + 0.007
