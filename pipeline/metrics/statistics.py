"""Bootstrap over examples (Efron & Tibshirani 1993), with the same resamples for all cells."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np


def resample_weights(examples: int, resamples: int, seed: int) -> np.ndarray:
    """How often each example is drawn in each resample: (B, E) float64, rows sum to E."""
    generator = np.random.Generator(np.random.Philox(seed))
    even = np.full(examples, 1 / examples)
    return generator.multinomial(examples, even, size=resamples).astype(np.float64)


def by_example(stats: np.ndarray, example: np.ndarray, examples: int) -> np.ndarray:
    """Sum the statistics (R, k) of the texts of one example: (E, k). Examples are what is resampled."""
    sums = np.zeros((examples, stats.shape[1]))
    np.add.at(sums, example, stats)
    return sums


def interval(
    stats: np.ndarray,
    weights: np.ndarray,
    aggregate: Callable[[np.ndarray], np.ndarray],
    confidence: float,
) -> tuple[float, float, float]:
    """(value, low, high): the percentile interval of aggregate(sum of stats (E, k)).

    Resamples in which the value is undefined are left out; all three are NaN where none is defined.
    """
    value = float(aggregate(stats.sum(0)))
    low, high = _percentiles(aggregate(weights @ stats), confidence)
    return value, low, high


def paired_difference(
    stats: np.ndarray,
    other: np.ndarray,
    weights: np.ndarray,
    aggregate: Callable[[np.ndarray], np.ndarray],
    confidence: float,
) -> tuple[float, float, float]:
    """(value, low, high) of one cell's value minus another's, over the same resamples."""
    value = float(aggregate(stats.sum(0)) - aggregate(other.sum(0)))
    low, high = _percentiles(aggregate(weights @ stats) - aggregate(weights @ other), confidence)
    return value, low, high


def _percentiles(values: np.ndarray, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2 * 100
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all NaN: the answer is NaN
        low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)
