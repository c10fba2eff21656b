"""The curve of a family over its setting, and how far a decoder is above it at its own diversity.

A decoder is a point (diversity, quality) with a cloud of bootstrap resamples. All decoders share their resamples, so
that differences are paired. A curve is read over its setting: diversity as a function that never falls (isotonic
regression, Barlow et al. 1972, "Statistical Inference under Order Restrictions"), so that noise does not change the
order of its points, and quality, signed. Between settings both follow monotone cubics (Fritsch & Carlson 1980, SIAM J.
Numer. Anal. 17), which bend as the points do and nowhere leave their range. Straight lines would cut the corners of a
curve that bends, in favour of what lies outside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from random_routing.resampling.intervals import Sampled

MOST_OUTSIDE = 0.1  # share of resamples that may fall outside a curve
HALVINGS = 40  # of a piece of a curve, to find a setting in it: to 1e-12 of its length
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
    def diversity(self) -> Cubics:
        """Never falls. The first row is of the values, the others of the resamples."""
        return Cubics(self.settings, isotonic(_stacked([point.diversity for point in self.points])))

    @cached_property
    def quality(self) -> Cubics:
        """The same rows; signed where it has a sign."""
        return Cubics(self.settings, _stacked([point.read for point in self.points]))


def _stacked(points: Sequence[Sampled]) -> np.ndarray:
    """(1 + B, m)."""
    return np.stack([np.append(point.value, point.resamples) for point in points], axis=1)


class Cubics:
    """Monotone cubics through the values (R, m) at settings (m,), ascending, at least 2: a curve for each row.

    A row with a value that is not finite is undefined everywhere.
    """

    def __init__(self, settings: np.ndarray, values: np.ndarray) -> None:
        self.settings, self.values = settings, values
        self.known = np.isfinite(values).all(1)
        through = np.where(self.known[:, None], values, 0.0)
        cubics = CubicHermiteSpline(settings, through, slopes(settings, through), axis=1)
        self.coefficients = cubics.c  # (4, m − 1, R), cubes first

    def at(self, settings: np.ndarray) -> np.ndarray:
        """The value of each row at its own setting: (R,), NaN where that is."""
        piece = self._piece(np.searchsorted(self.settings, settings, side="right"))
        value = _cubic(self._of(piece), settings - self.settings[piece])
        return np.where(self.known, value, np.nan)

    def setting_of(self, values: np.ndarray) -> np.ndarray:
        """The setting at which each row, which never falls, has its own value: (R,), NaN outside the curve. Where it is
        flat, the last.
        """
        piece = self._piece((self.values <= values[:, None]).sum(1))
        coefficients, low, high = self._of(piece), np.zeros(len(values)), np.diff(self.settings)[piece]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            short = _cubic(coefficients, middle) <= values
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        inside = self.known & (self.values[:, 0] <= values) & (values <= self.values[:, -1])
        return np.where(inside, self.settings[piece] + (low + high) / 2, np.nan)

    def _piece(self, points: np.ndarray) -> np.ndarray:
        """The piece after so many points of the curve, the first or the last beyond its ends."""
        return np.clip(points, 1, len(self.settings) - 1) - 1

    def _of(self, piece: np.ndarray) -> np.ndarray:
        """Coefficients of a piece of each row: (4, R)."""
        return self.coefficients[:, piece, np.arange(len(piece))]


def slopes(settings: np.ndarray, values: np.ndarray) -> np.ndarray:
    """At each point that of the parabola through it and its neighbours, (R, m), as far as cubics stay monotone with it:
    0 where the values turn, and at most three times the flatter of the lines to the neighbours.

    Linear in the values, but for those limits, so that the bootstrap of what is read from the curve is nearly that of a
    mean. (With harmonic means of both lines, Fritsch & Butland 1984, errors came out up to 7 % too small.)
    """
    lines = np.diff(values, axis=1) / np.diff(settings)
    before, after = lines[:, [0, *range(lines.shape[1])]], lines[:, [*range(lines.shape[1]), -1]]
    free = np.gradient(values, settings, axis=1, edge_order=2) if len(settings) > 2 else before
    up = np.where(before * after > 0, np.sign(before), 0.0)
    return up * np.clip(up * free, 0, 3 * np.minimum(np.abs(before), np.abs(after)))


def _cubic(coefficients: np.ndarray, past: np.ndarray) -> np.ndarray:
    """So far past the first setting of a piece."""
    cube, square, slope, start = coefficients
    return ((cube * past + square) * past + slope) * past + start


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
    every = curve.diversity.setting_of(
        np.append(point.diversity.value, point.diversity.resamples)
    )  # (1 + B,)
    at = float(every[0])
    if not math.isfinite(at):
        return MatchedDifference(None, missing=OUTSIDE)
    if not rises(curve, at):
        return MatchedDifference(None, at, FLAT)
    if np.isnan(every[1:]).mean() > MOST_OUTSIDE:
        return MatchedDifference(None, at, OUTSIDE)
    of_curve = curve.quality.at(every)
    if point.signed:
        of_curve = -np.abs(of_curve)
    value, resamples = point.quality.value - float(of_curve[0]), point.quality.resamples - of_curve[1:]
    return MatchedDifference(Sampled(value, resamples, point.quality.examples), at)


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


def rises(curve: Curve, at: float) -> bool:
    """Whether diversity rises by two standard errors from the setting before the two around a place to that after. With
    a single resample there is none, and nothing speaks against it.
    """
    right = int(np.clip(np.searchsorted(curve.settings, at, side="right"), 1, len(curve) - 1))
    before, after = max(0, right - 2), min(len(curve) - 1, right + 1)
    rise = curve.points[after].diversity - curve.points[before].diversity
    return not rise.value <= RISE * rise.standard_error()
