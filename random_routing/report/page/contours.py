"""Where r = 1 − (1−q)(1−λ) is constant on a heat map whose axes name the values of a grid, evenly spaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

POINTS = 60
LEVELS = (0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9)


def contours(qs: Sequence[float], lambdas: Sequence[float], means: str) -> list[dict[str, Any]]:
    """Points of the curves: r, column, row (places between those of the grid, 0 to n − 1), order, last.

    qs, lambdas: sorted values of the grid; means: `explore` or `exploit`, what λ weighs. Between two values of the
    grid a place is interpolated linearly. Curves outside the grid are left out.
    """
    if len(qs) < 2 or len(lambdas) < 2:
        return []
    weights = np.array(lambdas) if means == "explore" else 1 - np.array(lambdas)
    curves = []
    for level in LEVELS:
        rows = np.linspace(0, len(qs) - 1, POINTS)
        q = np.interp(rows, range(len(qs)), qs)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = 1 - (1 - level) / (1 - q)
        order = np.argsort(weights)
        columns = np.interp(weight, weights[order], np.arange(len(weights))[order])
        inside = np.isfinite(weight) & (weight >= weights.min()) & (weight <= weights.max())
        points = [
            {"r": f"r = {level:g}", "column": float(c), "row": float(r)}
            for c, r in zip(columns[inside], rows[inside], strict=True)
        ]
        if len(points) > 1:
            curves += [{**point, "order": i, "last": point is points[-1]} for i, point in enumerate(points)]
    return curves
