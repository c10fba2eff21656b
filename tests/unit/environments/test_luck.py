"""The luck of an episode: words of SplitMix64, even, and the same outcome by whole numbers as by chances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from random_routing.environments.luck import luck, thresholds, uniform_luck
from random_routing.law.noise import spread
from tests.helpers.policies import CLIFF, LAKE, TAXI, world


def test_a_step_is_a_word_of_the_seed() -> None:
    """Java's SplittableRandom and Vigna's splitmix64.c give this first word for the seed 1234567."""
    words = spread(torch.tensor([1234567]), 5)[0]
    assert words[0].item() == 6457827717110365317
    found = luck(torch.full((5,), 1234567), torch.arange(5))
    assert torch.equal(found, (words >> 11) & (2**53 - 1))


def test_it_is_even() -> None:
    seeds = np.arange(20_000)  # neighbours, as bad seeds as there are
    for step in (0, 1, 59):
        assert stats.kstest(uniform_luck(seeds, step), "uniform").pvalue > 1e-4  # false alarm: 3 in 10,000
    pairs = np.corrcoef(uniform_luck(seeds, 3), uniform_luck(seeds, 4))[0, 1]
    assert abs(pairs) < 4 / np.sqrt(len(seeds))


@pytest.mark.parametrize("name", [CLIFF, LAKE, TAXI])
def test_whole_numbers_part_where_chances_do(name: str) -> None:
    environment = world(name)
    edges, first = thresholds(environment.chance), thresholds(environment.start)
    rng = np.random.default_rng(1)
    state = rng.integers(0, len(environment.start), 5_000)
    action = rng.integers(0, len(environment.actions), 5_000)
    number = rng.integers(0, 2**53, 5_000)
    at_an_edge = rng.integers(0, 2, 5_000).astype(bool)
    number = np.where(
        at_an_edge, np.minimum(edges[state, action, 0], 2**53 - 1) - rng.integers(0, 2, 5_000), number
    )
    after, reward, ends = environment.step(state, action, number * 2.0**-53)
    outcome = (edges[state, action] <= number[:, None]).sum(1)
    at = (state, action, outcome)
    assert np.array_equal(environment.next[at], after) and np.array_equal(environment.reward[at], reward)
    assert np.array_equal(environment.ends[at], ends)
    assert np.array_equal((first <= number[:, None]).sum(1), environment.begin(number * 2.0**-53))
