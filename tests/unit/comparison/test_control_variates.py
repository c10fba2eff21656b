"""Controls of mean 0 take away the noise that they explain, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from random_routing.comparison.control_variates import controlled
from random_routing.resampling.intervals import Sampled, resampled_all
from random_routing.resampling.weights import resample_weights


def mean(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def sampled(*columns: np.ndarray) -> list[Sampled]:
    ones, weights = np.ones(len(columns[0])), resample_weights(len(columns[0]), 1000, 1)
    return resampled_all(weights, [(np.stack([column, ones], axis=1), mean) for column in columns])


def test_the_variance_that_a_control_explains_is_gone() -> None:
    """Quality is luck and noise in equal parts, so half of its variance is left, and its mean is as true as before."""
    random = np.random.default_rng(1)
    values, kept, plain, errors = [], [], [], []
    for _ in range(300):
        luck, noise = random.normal(size=(2, 60))
        (quality, control) = sampled(0.5 + luck + noise, luck)
        less, share = controlled(quality, [control])
        assert less.examples == 59  # a slope takes a degree of freedom
        values.append(less.value)
        errors.append(less.standard_error())
        plain.append(quality.value)
        kept.append(share)
    assert np.mean(kept) == pytest.approx(0.5, abs=0.05)
    assert np.var(values) / np.var(plain) == pytest.approx(0.5, abs=0.12)
    assert abs(np.mean(values) - 0.5) < 4 * np.std(values) / np.sqrt(300)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.1)


def test_slopes_that_are_fitted_to_noise_are_paid_for() -> None:
    """Three controls explain a third of 40 examples' variance: 2/3 · 38/35 of it is left, by hand. Three that explain
    nothing change nothing, nearly always.
    """
    random = np.random.default_rng(3)
    useful, useless, errors, values = [], [], [], []
    for _ in range(200):
        luck, noise = random.normal(size=(3, 40)), random.normal(size=40)
        quality, *controls = sampled(noise + luck.sum(0) / np.sqrt(6), *luck)
        less, kept = controlled(quality, controls)
        useful.append(kept)
        errors.append(less.standard_error())
        values.append(less.value)
        quality, *others = sampled(*random.normal(size=(4, 70)))
        useless.append(controlled(quality, others)[1])
    assert np.mean(useful) == pytest.approx(2 / 3 * 38 / 35, abs=0.05)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.12)
    assert np.mean(np.array(useless) == 1) > 0.7 and np.mean(useless) > 0.97


def test_what_cannot_help_changes_nothing() -> None:
    random = np.random.default_rng(2)
    quality, control, still = sampled(*random.normal(size=(2, 60)), np.zeros(60))
    assert controlled(quality, [still]) == (quality, 1.0)
    few, its = sampled(*random.normal(size=(2, 19)))
    assert controlled(few, [its]) == (few, 1.0)  # 10 examples for each slope and the mean
    once, share = controlled(quality, [control])
    twice, same = controlled(quality, [control, control, still])  # the same control again
    assert (once.value, share, once.examples) == pytest.approx((twice.value, same, twice.examples))
