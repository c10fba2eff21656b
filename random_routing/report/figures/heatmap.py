"""Metrics over q × λ, for the variants in which both are real knobs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import FuncNorm, Normalize
from matplotlib.figure import Figure

from random_routing.metrics import METRICS
from random_routing.report import selection
from random_routing.report.figures.style import COLUMN, FULL, SMALL, plain_log_ticks
from random_routing.report.names import MEANS, panel_title, short
from random_routing.results.measured import CellValues, Measured
from random_routing.settings import Settings

PANEL = 2.0  # inches, the height of a map with its title


def draw(measured: Measured, settings: Settings, width: float) -> Figure | None:
    """A row per variant, a column per metric; in a column of a paper all below each other. None where no variant has
    two knobs.
    """
    blocks = selection.with_two_knobs(measured.cells, settings.variants)
    metrics = selection.telling_metrics(measured)
    if not blocks or not metrics:
        return None
    beside = len(metrics) if width >= FULL else 1
    rows = len(blocks) * len(metrics) // beside
    figure = Figure(figsize=(width, PANEL * rows + 0.2), layout="constrained")
    axes = figure.subplots(rows, beside, squeeze=False)
    for ax, (name, metric) in zip(axes.flat, ((b, m) for b in blocks for m in metrics), strict=True):
        _map(ax, blocks[name], metric, selection.human_value(measured.cells, metric))
        ax.set_title(panel_title(metric, width / beside, name if len(blocks) > 1 else ""))
        ax.set_ylabel("q", labelpad=2)
        if ax in axes[-1]:
            ax.set_xlabel(f"λ ({MEANS[settings.lambda_means]})")
    return figure


def _map(ax: Axes, members: Sequence[CellValues], metric: str, human: float) -> None:
    ys, xs = (sorted({getattr(row, knob) for row in members}) for knob in ("q", "lam"))
    grid = np.full((len(ys), len(xs)), math.nan)
    for row in members:
        grid[ys.index(row.q), xs.index(row.lam)] = row.get(metric).value
    low, high = _range(grid)
    norm, colours = _scale(low, high, metric, human)
    ax.imshow(np.ma.masked_invalid(grid), colours, norm, aspect="auto", origin="lower")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    for axis, values in ((ax.xaxis, xs), (ax.yaxis, ys)):
        step = -(-len(values) // 8)  # every second, third, … where there is room for fewer names
        axis.set_ticks(range(0, len(values), step), [f"{value:.3g}" for value in values[::step]])
    figure: Any = ax.get_figure(root=True)
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=ax, aspect=12, pad=0.02)
    bar.outline.set_visible(False)
    if METRICS[metric].log_axis and low > 0:
        plain_log_ticks(bar.ax.yaxis, low, high)
    if math.isfinite(human) and low <= human <= high:
        bar.ax.axhline(human, color="black", linewidth=1.2)
    room = 0.45 if figure.get_figwidth() == COLUMN else 1.3  # inches for a number
    if figure.get_figwidth() / len(xs) >= room and len(ys) <= 10:
        _numbers(ax, grid, norm, colours)


def _range(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if low == high:
        return low - abs(low) / 10 - 1e-9, high + abs(high) / 10 + 1e-9
    return low, high


def _scale(low: float, high: float, metric: str, human: float) -> tuple[Normalize, Any]:
    """Blue is better. Where values lie on both sides of the human texts', which is best, it is white between orange
    (more) and violet (less); where no value is better than another, yellow is more.
    """
    about, parts = METRICS[metric], low < human < high
    better = about.better
    if better == "nearer to human" and math.isfinite(human):
        better = better if parts else "lower" if human <= low else "higher"
    colours = {"higher": "Blues", "lower": "Blues_r", "nearer to human": "PuOr_r" if parts else "cividis"}
    colour = colormaps[colours.get(better, "cividis")].with_extremes(bad="#dddddd")
    ends = [low, human, high] if parts and better == "nearer to human" else [low, high]
    places = np.linspace(0, 1, len(ends))
    if not (about.log_axis and low > 0):
        return FuncNorm(
            (lambda x: np.interp(x, ends, places), lambda y: np.interp(y, places, ends)), low, high
        ), colour
    logs = np.log(ends)
    forth, back = (
        (lambda x: np.interp(np.log(np.maximum(x, low)), logs, places)),
        (lambda y: np.exp(np.interp(y, places, logs))),
    )
    return FuncNorm((forth, back), low, high), colour


def _numbers(ax: Axes, grid: np.ndarray, norm: Normalize, colours: Any) -> None:
    for (y, x), value in np.ndenumerate(grid):
        missing = math.isnan(value)
        background = np.array((1, 1, 1) if missing else colours(float(norm(value)))[:3])
        # Relative luminance; at 0.18 black and white text have the same contrast (WCAG 2).
        light = (background**2.2) @ (0.2126, 0.7152, 0.0722) > 0.18
        text = "–" if missing else short(value)
        ax.text(x, y, text, ha="center", va="center", fontsize=SMALL, color="black" if light else "white")
