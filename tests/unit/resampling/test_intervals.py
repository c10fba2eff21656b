"""Intervals cover what they should, and an A/A comparison comes out null at its nominal rate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from random_routing.metrics.metric import ratio
from random_routing.resampling.intervals import (
    Sampled,
    by_example,
    interval,
    paired_difference,
    percentile_interval,
)
from random_routing.resampling.weights import resample_weights


def test_weights_are_resamples() -> None:
    weights = resample_weights(10, 500, seed=1)
    assert weights.shape == (500, 10) and (weights.sum(1) == 10).all()
    assert np.array_equal(weights, resample_weights(10, 500, seed=1))
    assert not np.array_equal(weights, resample_weights(10, 500, seed=2))


def test_texts_of_one_example_are_resampled_together() -> None:
    sums = by_example(np.array([[1.0, 1], [2, 1], [4, 1]]), np.array([0, 0, 1]), 3)
    assert sums.tolist() == [[3, 2], [4, 1], [0, 0]]


def test_interval_by_hand() -> None:
    """Two examples of mean 0 and 1: a resample is 0, 1/2 or 1 with weights 1/4, 1/2, 1/4."""
    sums, weights = np.array([[0.0, 1], [1, 1]]), resample_weights(2, 4000, seed=3)
    assert interval(sums, weights, ratio, 0.95) == (0.5, 0.0, 1.0)
    assert interval(sums, weights, ratio, 0.2) == (0.5, 0.5, 0.5)


def test_intervals_of_few_examples_are_expanded() -> None:
    """n = 10, 95 %: the t quantile of 9 degrees, 2.262, times √(10/9) is 2.385, so the 0.85th percentile."""
    values = np.linspace(0, 1, 10_001)
    low, high = percentile_interval(values, 0.95, 10)
    assert (low, high) == (pytest.approx(0.00855, abs=1e-4), pytest.approx(0.99145, abs=1e-4))
    assert percentile_interval(values, 0.95, 10**6)[0] == pytest.approx(0.025, abs=1e-4)
    assert all(map(math.isnan, percentile_interval(values, 0.95, 1)))


def test_p_values_by_hand() -> None:
    """A standard deviation of 1 of 10 examples: t = value / √(10/9), with 9 degrees of freedom, and no least value."""
    resamples = np.where(np.arange(1000) % 2 == 0, 1.0, -1.0) * np.sqrt(999 / 1000)
    for value in (0.0, 1.0, 9.0):
        expected = 2 * stats.t.sf(value / np.sqrt(10 / 9), 9)
        assert Sampled(value, value + resamples, 10).p_value() == pytest.approx(expected)
    edge = Sampled(1.0, 1.0 + resamples, 10)
    low, high = edge.t_interval(1 - edge.p_value())
    assert low == pytest.approx(0.0) and high == pytest.approx(2.0)
    assert math.isnan(Sampled(math.nan, np.full(9, math.nan), 10).p_value())
    assert (
        Sampled(0.0, np.zeros(9), 10).p_value() == 1.0
        and Sampled(0.1, np.full(9, 0.1), 10).p_value() == 0.0
    )


def test_undefined_resamples_are_left_out() -> None:
    """One of two examples is undefined: a resample of it alone (1 in 4) must not count as 0 or NaN."""
    weights = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    assert interval(np.array([[5.0, 1], [0, 0]]), weights, ratio, 0.95) == (5.0, 5.0, 5.0)


def test_undefined_value_gives_a_missing_interval() -> None:
    result = interval(np.zeros((4, 2)), resample_weights(4, 200, seed=1), ratio, 0.95)
    assert all(math.isnan(value) for value in result)


@pytest.mark.parametrize("distribution", ["normal", "exponential"])
def test_coverage_is_near_nominal(distribution: str) -> None:
    """400 experiments of 100 examples, 90 % intervals: coverage of a percentile bootstrap is 0.85 to
    0.94 here; a binomial of 0.88 leaves [0.80, 0.95] once in 10⁴.
    """
    generator = np.random.Generator(np.random.Philox(11))
    mean, covered = {"normal": 0.0, "exponential": 1.0}[distribution], 0
    for repeat in range(400):
        draw = getattr(generator, f"standard_{distribution}")(100)
        sums = np.stack([draw, np.ones(100)], axis=1)
        _, low, high = interval(sums, resample_weights(100, 300, seed=repeat), ratio, 0.9)
        covered += low <= mean <= high
    assert 0.80 <= covered / 400 <= 0.95


def test_a_against_a_is_null_at_its_rate() -> None:
    """Two cells of one law: a 90 % interval of their difference leaves out 0 in about 10 % of runs;
    400 runs leave [0.05, 0.17] with probability below 10⁻³.
    """
    generator = np.random.Generator(np.random.Philox(12))
    rejected = 0
    for repeat in range(400):
        one, two = (np.stack([generator.standard_normal(80), np.ones(80)], axis=1) for _ in range(2))
        _, low, high = paired_difference(one, two, resample_weights(80, 300, seed=repeat), ratio, 0.9)
        rejected += not low <= 0 <= high
    assert 0.05 <= rejected / 400 <= 0.17


def test_pairing_narrows_the_interval() -> None:
    generator = np.random.Generator(np.random.Philox(13))
    shared = generator.standard_normal(200)
    first = np.stack([shared + 0.1 * generator.standard_normal(200), np.ones(200)], axis=1)
    second = np.stack([shared + 0.1 * generator.standard_normal(200), np.ones(200)], axis=1)
    weights = resample_weights(200, 1000, seed=1)
    _, low, high = paired_difference(first, second, weights, ratio, 0.95)
    width = high - low
    _, *alone = interval(first, weights, ratio, 0.95)
    assert width < (alone[1] - alone[0]) / 3
    # and it agrees with the t interval of the differences
    difference = first[:, 0] - second[:, 0]
    expected = stats.t.interval(0.95, 199, difference.mean(), difference.std(ddof=1) / math.sqrt(200))
    assert (low, high) == pytest.approx(expected, abs=0.1 * width)
