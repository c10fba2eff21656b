"""Against rliable 1.2.0, in an environment of its own (arch 7.2.0, pandas 2.3.3), and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import trim_mean

from random_routing.learning.interquartile import draws, interquartile_mean, interval, resampled

I = np.arange(20.0)
TWO = np.stack([(I * 7 % 20) ** 1.5, 50 - 2 * (I * 3 % 20) + I % 4], 1)
# rliable.library.get_interval_estimates with metrics.aggregate_iqm, 50,000 resamples after numpy.random.seed(0)
PUBLISHED = {1: (30.29551932, 16.00639418, 47.33062353), 2: (31.59112724, 24.97004428, 38.60636896)}


@pytest.mark.parametrize("strata", PUBLISHED)
def test_rliable_s_numbers(strata: int) -> None:
    """Its interval is of other resamples: of 20,000 the ends are known to about 1 % of the width."""
    scores, (iqm, lo, hi) = TWO[:, :strata], PUBLISHED[strata]
    assert interquartile_mean(scores) == pytest.approx(iqm, abs=1e-7)
    found = interval(resampled(scores, draws(20, strata, 20_000, 1)), 0.95)
    assert found == pytest.approx((lo, hi), abs=0.025 * (hi - lo))


@pytest.mark.parametrize("count", [4, 5, 7, 20, 101])
def test_it_is_scipy_s_trimmed_mean(count: int) -> None:
    scores = np.random.default_rng(count).normal(size=count)
    assert interquartile_mean(scores) == pytest.approx(trim_mean(scores, 0.25))


def test_by_hand() -> None:
    assert interquartile_mean(np.array([1.0, 100, 3, 5])) == 4
    assert interquartile_mean(np.array([7.0])) == 7


def test_a_resample_is_the_mean_of_the_runs_that_it_draws() -> None:
    """Each stratum is drawn as often as it has runs."""
    drawn = draws(20, 2, 50, 3)
    assert (drawn[:, :20].sum(1) == 20).all() and (drawn[:, 20:].sum(1) == 20).all()
    flat = TWO.T.ravel()
    for weights, value in zip(drawn, resampled(TWO, drawn), strict=True):
        assert value == pytest.approx(interquartile_mean(np.repeat(flat, weights.astype(int))))


def test_equal_runs_have_no_interval() -> None:
    assert interval(resampled(np.full(10, 3.0), draws(10, 1, 100, 0)), 0.95) == (3, 3)


def test_95_of_100_intervals_hold_the_truth() -> None:
    """400 samples of 50 normal numbers: between 91 % and 98 %; a right interval is outside with a chance below 1e-3."""
    random, drawn = np.random.default_rng(0), draws(50, 1, 400, 0)
    found = [interval(resampled(random.normal(size=50), drawn), 0.95) for _ in range(400)]
    assert 0.91 <= np.mean([lo <= 0 <= hi for lo, hi in found]) <= 0.98
