"""Fronts of the quality–diversity plane."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from random_routing.comparison.curves import Point


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
    # Equal points share a fate.
    first = np.maximum.accumulate(np.where(again, 0, np.arange(x.shape[1])), axis=1)
    on = np.zeros_like(known)
    np.put_along_axis(on, order, np.take_along_axis(y > highest, first, axis=1), axis=1)
    return (on & known).mean(0).tolist()
