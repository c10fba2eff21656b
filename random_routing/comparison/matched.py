"""Is routing better than today's decoders at equal diversity? Matched differences, fronts, hypervolumes.

A decoder is a point (diversity, quality), both oriented so that more is better, with a cloud of
bootstrap resamples. All decoders are resampled alike, so that differences are paired.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from statsmodels.stats.multitest import multipletests

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
    found = y0 + share * (y1 - y0)
    known = (xs[:, 0] <= x) & (x <= xs[:, -1]) & np.isfinite(xs).all(1) & np.isfinite(ys).all(1)
    return np.where(known, found, np.nan)


def adjusted(p_values: Sequence[float], method: str) -> list[float]:
    """p-values corrected for their number; NaN stays NaN and does not count.

    method: `holm` (Holm 1979: chance of any false claim) or `fdr_bh` (Benjamini & Hochberg 1995: share
    of false claims).
    """
    found = np.array(p_values, dtype=np.float64)
    known = np.isfinite(found)
    if known.any():
        found[known] = multipletests(found[known], method=method)[1]
    return found.tolist()


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the points that no other beats in one of the two and equals or beats in the other.

    In the order of diversity; points with a missing value are never on the front.
    """
    known = {n: p for n, p in points.items() if all(map(math.isfinite, p))}
    best = [
        name
        for name, (x, y) in known.items()
        if not any(a >= x and b >= y and (a > x or b > y) for a, b in known.values())
    ]
    return sorted(best, key=lambda name: known[name])


def front_shares(points: Sequence[Point]) -> list[float]:
    """Share of the resamples in which each point is on the front of them all."""
    x = np.stack([p.diversity.resamples for p in points], axis=1)  # (B, points)
    y = np.stack([p.quality.resamples for p in points], axis=1)
    known = np.isfinite(x + y)
    x, y = np.where(known, x, -np.inf), np.where(known, y, -np.inf)
    order = np.lexsort((-y, -x), axis=-1)  # the most diverse first, of equals the best
    x, y = np.take_along_axis(x, order, axis=1), np.take_along_axis(y, order, axis=1)
    outside = np.full((len(x), 1), -np.inf)
    highest = np.hstack([outside, np.maximum.accumulate(y, axis=1)[:, :-1]])  # of those before
    again = (x == np.hstack([outside, x[:, :-1]])) & (y == np.hstack([outside, y[:, :-1]]))
    first = np.maximum.accumulate(
        np.where(again, 0, np.arange(x.shape[1])), axis=1
    )  # equal points share a fate
    on = np.zeros_like(known)
    np.put_along_axis(on, order, np.take_along_axis(y > highest, first, axis=1), axis=1)
    return (on & known).mean(0).tolist()


def hypervolume(points: np.ndarray, reference: tuple[float, float]) -> np.ndarray:
    """Area that the points dominate above `reference` (Zitzler & Thiele 1999): (…) from (…, n, 2).

    NaN points dominate nothing.
    """
    above = np.nan_to_num(np.clip(points - np.array(reference), 0.0, None), nan=0.0)
    order = np.argsort(-above[..., 0], axis=-1, kind="stable")  # from the most diverse down
    x, y = (np.take_along_axis(above[..., i], order, axis=-1) for i in (0, 1))
    highest = np.maximum.accumulate(y, axis=-1)
    step = x - np.concatenate([x[..., 1:], np.zeros_like(x[..., :1])], axis=-1)
    return (step * highest).sum(-1)


def family_volume(points: Sequence[Point], reference: tuple[float, float]) -> Sampled:
    """Hypervolume of a family of decoders with its resamples."""
    values = np.array([[p.diversity.value, p.quality.value] for p in points])
    clouds = np.stack(
        [np.stack([p.diversity.resamples, p.quality.resamples], axis=1) for p in points], axis=1
    )
    examples = points[0].quality.examples
    return Sampled(float(hypervolume(values, reference)), hypervolume(clouds, reference), examples)
