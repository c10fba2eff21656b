"""The curve of a family over its setting, and how far a decoder is above it at its own diversity.

A decoder is a point (diversity, quality) with a cloud of bootstrap resamples. All decoders share their resamples, so
that differences are paired. A curve is read over its setting: diversity as a function that never falls (isotonic
regression, Barlow et al. 1972, "Statistical Inference under Order Restrictions"), so that noise does not change the
order of its points, and quality, signed, by straight lines between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from random_routing.resampling.intervals import Sampled

MOST_OUTSIDE = 0.1  # share of resamples that may fall outside a curve
RISE = 2.0  # standard errors that diversity must rise by around the place where a curve is read
OUTSIDE = "its diversity lies outside the curve"
FLAT = "not identified: the curve's diversity does not rise there by two standard errors"
NO_CURVE = "its curve has fewer than two decoders"


@dataclass(frozen=True)
class Point:
    """Both turned so that more is better. signed: of a quality that is a distance from 0, before its sign is lost."""

    diversity: Sampled
    quality: Sampled
    signed: Sampled | None = None

    @property
    def read(self) -> Sampled:
        """What curves are drawn through."""
        return self.signed or self.quality


@dataclass(frozen=True)
class Curve:
    """Decoders of a family in the order of their setting, with which diversity grows. settings: (m,), ascending."""

    settings: np.ndarray
    points: Sequence[Point]

    @classmethod
    def of(cls, points: dict[float, Point]) -> Curve:
        """By setting. Points without a value are left out."""
        known = {
            setting: point
            for setting, point in points.items()
            if math.isfinite(point.diversity.value + point.quality.value)
        }
        order = sorted(known)
        return cls(np.array(order, dtype=np.float64), [known[setting] for setting in order])

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def risen(self) -> tuple[np.ndarray, np.ndarray]:
        """Diversity that never falls: (1, m), and of the resamples, (B, m)."""
        values, resamples = _stacked([point.diversity for point in self.points])
        return isotonic(values), isotonic(resamples)

    @cached_property
    def quality(self) -> tuple[np.ndarray, np.ndarray]:
        """(1, m), and of the resamples, (B, m); signed where it has a sign."""
        return _stacked([point.read for point in self.points])


def _stacked(points: Sequence[Sampled]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([[point.value for point in points]]), np.stack([p.resamples for p in points], axis=1)


@dataclass(frozen=True)
class MatchedDifference:
    """A matched difference, or why there is none; at: the curve's setting with the point's diversity."""

    value: Sampled | None
    at: float = math.nan
    missing: str = ""


def matched_difference(point: Point, curve: Curve) -> MatchedDifference:
    """The point's quality minus the curve's at the point's diversity; a sign is lost last, after the curve is read.

    Missing where the point, or more than a tenth of its resamples, has a diversity outside the curve's (nothing is
    extrapolated), or where the curve's diversity hardly rises, so that no setting stands for it. Resamples outside are
    NaN.
    """
    if len(curve) < 2:
        return MatchedDifference(None, missing=NO_CURVE)
    (diversity, diversities), (quality, qualities) = curve.risen, curve.quality
    at = setting_at(np.array([point.diversity.value]), diversity, curve.settings)
    if not np.isfinite(at).all():
        return MatchedDifference(None, missing=OUTSIDE)
    if not rises(curve, float(at[0])):
        return MatchedDifference(None, float(at[0]), FLAT)
    every = setting_at(point.diversity.resamples, diversities, curve.settings)  # (B,)
    if np.isnan(every).mean() > MOST_OUTSIDE:
        return MatchedDifference(None, float(at[0]), OUTSIDE)
    of_curve, of_resamples = lines(at, curve.settings, quality), lines(every, curve.settings, qualities)
    if point.signed:
        of_curve, of_resamples = -np.abs(of_curve), -np.abs(of_resamples)
    value, resamples = point.quality.value - float(of_curve[0]), point.quality.resamples - of_resamples
    return MatchedDifference(Sampled(value, resamples, point.quality.examples), float(at[0]))


def isotonic(values: np.ndarray) -> np.ndarray:
    """The nearest sequences that never fall, by least squares: (…, m). max over j ≤ i of min over k ≥ i of the mean of
    values j to k (Barlow et al. 1972, 1.4).
    """
    size = values.shape[-1]
    sums = np.concatenate([np.zeros_like(values[..., :1]), values.cumsum(-1)], axis=-1)
    highest = np.full(values.shape, -np.inf)
    for first in range(size):
        counts = np.arange(1, size - first + 1)
        means = (sums[..., first + 1 :] - sums[..., first, None]) / counts  # of first to k
        least = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]  # over k ≥ i
        highest[..., first:] = np.maximum(highest[..., first:], least)
    return highest


def setting_at(x: np.ndarray, risen: np.ndarray, settings: np.ndarray) -> np.ndarray:
    """The setting at which the curve has diversity x (B,): (B,), NaN outside the curve. risen: (B, m), never falls."""
    below = (risen <= x[:, None]).sum(1)  # points up to x: the curve reaches x after the last of them
    right = np.clip(below, 1, len(settings) - 1)[:, None]
    low, high = (np.take_along_axis(risen, index, axis=1)[:, 0] for index in (right - 1, right))
    s0, s1 = settings[right[:, 0] - 1], settings[right[:, 0]]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(high > low, (x - low) / (high - low), 1.0)
    inside = (risen[:, 0] <= x) & (x <= risen[:, -1]) & np.isfinite(risen).all(1)
    return np.where(inside, s0 + np.clip(share, 0.0, 1.0) * (s1 - s0), np.nan)


def lines(at: np.ndarray, settings: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values (B, m) at settings (m,) on straight lines at another setting for each row: (B,), NaN where at is."""
    right = np.clip(np.searchsorted(settings, at, side="right"), 1, len(settings) - 1)
    s0, s1 = settings[right - 1], settings[right]
    rows = np.arange(len(values))
    low, high = values[rows, right - 1], values[rows, right]
    return low + (at - s0) / (s1 - s0) * (high - low)


def rises(curve: Curve, at: float) -> bool:
    """Whether diversity rises by two standard errors from the setting before the two around a place to that after. With
    a single resample there is none, and nothing speaks against it.
    """
    right = int(np.clip(np.searchsorted(curve.settings, at, side="right"), 1, len(curve) - 1))
    before, after = max(0, right - 2), min(len(curve) - 1, right + 1)
    rise = curve.points[after].diversity - curve.points[before].diversity
    return not rise.value <= RISE * rise.standard_error()
