"""The curve of a family, and how far a decoder is above it at its own diversity.

A decoder is a point (diversity, quality), both oriented so that more is better, with a cloud of
bootstrap resamples. All decoders share their resamples, so that differences are paired.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from random_routing.resampling.intervals import Sampled

MOST_OUTSIDE = 0.1  # share of resamples that may fall outside a curve


@dataclass(frozen=True)
class Point:
    diversity: Sampled
    quality: Sampled


def matched_difference(point: Point, curve: Sequence[Point]) -> Sampled | None:
    """The point's quality minus the curve's at the point's diversity, by straight lines between its points.

    None where the point, or more than a tenth of its resamples, has a diversity outside the curve's:
    nothing is extrapolated. Resamples outside are NaN.
    """
    value = point.quality.value - float(
        interpolated(
            np.array([point.diversity.value]),
            np.array([[p.diversity.value for p in curve]]),
            np.array([[p.quality.value for p in curve]]),
        )[0]
    )
    if not math.isfinite(value):
        return None
    diversities = np.stack([p.diversity.resamples for p in curve], axis=1)  # (B, curve)
    qualities = np.stack([p.quality.resamples for p in curve], axis=1)
    at = interpolated(point.diversity.resamples, diversities, qualities)
    resamples = point.quality.resamples - at
    if np.isnan(resamples).mean() > MOST_OUTSIDE:
        return None
    return Sampled(value, resamples, point.quality.examples)


def interpolated(x: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """y at x (B,) on the straight lines through the points (xs, ys), each (B, n), of each row: (B,).

    Points may come in any order. NaN outside them, and where a point is missing.
    """
    order = np.argsort(xs, axis=1, kind="stable")
    xs, ys = np.take_along_axis(xs, order, axis=1), np.take_along_axis(ys, order, axis=1)
    right = np.clip((xs <= x[:, None]).sum(1), 1, xs.shape[1] - 1)[:, None]  # first point beyond x

    def at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, index, axis=1)[:, 0]

    x0, x1, y0, y1 = at(xs, right - 1), at(xs, right), at(ys, right - 1), at(ys, right)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(x1 > x0, (x - x0) / (x1 - x0), 0.0)
    between = y0 + share * (y1 - y0)
    known = (xs[:, 0] <= x) & (x <= xs[:, -1]) & np.isfinite(xs).all(1) & np.isfinite(ys).all(1)
    return np.where(known, between, np.nan)
