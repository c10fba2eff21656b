"""Bootstrap over examples (Efron & Tibshirani 1993), with the same resamples for all cells."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm as normal
from scipy.stats import t as student

from random_routing.resampling.weights import Weights, blocks_of


def by_example(stats: np.ndarray, example: np.ndarray, examples: int) -> np.ndarray:
    """Sum the statistics (R, k) of the texts of one example: (E, k). Examples are what is resampled."""
    sums = np.zeros((examples, stats.shape[1]))
    np.add.at(sums, example, stats)
    return sums


@dataclass(frozen=True)
class Sampled:
    """A number with its bootstrap resamples (B,), NaN where undefined, of `examples` examples."""

    value: float
    resamples: np.ndarray
    examples: int

    def __neg__(self) -> Sampled:
        return Sampled(-self.value, -self.resamples, self.examples)

    def __sub__(self, other: Sampled) -> Sampled:
        return Sampled(self.value - other.value, self.resamples - other.resamples, self.examples)

    def interval(self, confidence: float) -> tuple[float, float]:
        return percentile_interval(self.resamples, confidence, self.examples)

    def standard_error(self) -> float:
        """The resamples' standard deviation, times √(n/(n−1)): a bootstrap of few examples is too narrow by that."""
        known = self.resamples[np.isfinite(self.resamples)]
        if self.examples < 2 or len(known) < 2:
            return math.nan
        return float(known.std(ddof=1)) * _widening(self.examples)

    def p_value(self) -> float:
        """Two-sided, of the hypothesis that the number is 0, by Student's t with n − 1 degrees of freedom (Davison &
        Hinkley 1997, 2.4): however many tests there are, no least value stands in their way.
        """
        error = self.standard_error()
        if not math.isfinite(self.value) or math.isnan(error):
            return math.nan
        if error == 0:
            return float(self.value == 0)
        return 2 * float(student.sf(abs(self.value) / error, self.examples - 1))

    def t_interval(self, confidence: float) -> tuple[float, float]:
        """The interval that leaves out 0 exactly where `p_value` is below 1 − confidence."""
        half = float(student.ppf((1 + confidence) / 2, max(1, self.examples - 1))) * self.standard_error()
        return self.value - half, self.value + half


def _widening(examples: int) -> float:
    return math.sqrt(examples / (examples - 1))


def resampled(
    stats: np.ndarray, weights: Weights, aggregate: Callable[[np.ndarray], np.ndarray]
) -> Sampled:
    """aggregate of the sums of stats (E, k), and of those of every resample, weights (B, E)."""
    return resampled_all(weights, [(stats, aggregate)])[0]


def resampled_all(
    weights: Weights, items: Sequence[tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]]
) -> list[Sampled]:
    """`resampled` of each (stats, aggregate): weights that are not in memory are drawn once for all of them.

    Where aggregate gives S values, (..., S), the metric is itself random: the value is their mean, and
    resample b takes the (b mod S)-th, so that their spread is a part of the interval.
    """
    resamples = np.empty((len(items), len(weights)))
    for block, drawn in blocks_of(weights):
        for row, (stats, aggregate) in zip(resamples, items, strict=True):
            values = np.asarray(aggregate(drawn @ stats))
            if values.ndim == 2:
                number = np.arange(block.start, block.stop)
                values = values[number - block.start, number % values.shape[1]]
            row[block] = values
    return [
        Sampled(float(np.mean(aggregate(stats.sum(0)))), row, len(stats))
        for row, (stats, aggregate) in zip(resamples, items, strict=True)
    ]


def missing(examples: int, resamples: int) -> Sampled:
    return Sampled(math.nan, np.full(resamples, math.nan), examples)


def interval(
    stats: np.ndarray, weights: Weights, aggregate: Callable[[np.ndarray], np.ndarray], confidence: float
) -> tuple[float, float, float]:
    """(value, low, high): the percentile interval of aggregate(sum of stats (E, k)).

    Resamples in which the value is undefined are left out; all three are NaN where none is defined.
    """
    estimate = resampled(stats, weights, aggregate)
    return estimate.value, *estimate.interval(confidence)


def paired_difference(
    stats: np.ndarray,
    other: np.ndarray,
    weights: Weights,
    aggregate: Callable[[np.ndarray], np.ndarray],
    confidence: float,
) -> tuple[float, float, float]:
    """(value, low, high) of one cell's value minus another's, over the same resamples."""
    difference = resampled(stats, weights, aggregate) - resampled(other, weights, aggregate)
    return difference.value, *difference.interval(confidence)


def percentile_interval(values: np.ndarray, confidence: float, examples: int) -> tuple[float, float]:
    """Ends of the expanded percentile interval (Hesterberg 2015, 5.3) of resamples; NaN ones are left out.

    A bootstrap of few examples is too narrow, by √((n−1)/n) and by the normal in place of the t quantile;
    wider percentiles make up for it. All NaN, or fewer than two examples: NaN.
    """
    if examples < 2:
        return math.nan, math.nan
    quantile = student.ppf((1 - confidence) / 2, examples - 1) * _widening(examples)
    tail = float(normal.cdf(quantile)) * 100
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all NaN: the answer is NaN
        low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)
