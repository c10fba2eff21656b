"""The quality-diversity plane: does routing buy diversity cheaper than today's decoders do?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from random_routing.metrics import METRICS
from random_routing.report import names, selection
from random_routing.report.figures import style
from random_routing.report.figures.label_places import Label, place
from random_routing.report.figures.plane_series import LOOSE, STAR, Series, all_series, legend
from random_routing.results.measured import CellValues, Measured
from random_routing.settings import Settings


def draw(measured: Measured, settings: Settings) -> Figure | None:
    """None where diversity or quality is not among the metrics."""
    rows = measured.cells
    diversity = selection.pick(selection.DIVERSITY, rows)
    metrics = _panels(measured)
    if diversity is None or not metrics:
        return None
    series = all_series(rows, settings)
    figure = Figure(figsize=(style.WIDTH, 6.2 if len(metrics) == 1 else 5.4), layout="constrained")
    axes = figure.subplots(1, len(metrics), squeeze=False)[0]
    handles, columns = legend(series, rows)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    for ax, metric in zip(axes, metrics, strict=True):
        _panel(ax, rows, series, diversity, metric)
    figure.draw_without_rendering()  # settles the layout, which the labels need
    figure.set_layout_engine("none")
    for ax, metric in zip(axes, metrics, strict=True):
        _label(ax, rows, series, diversity, metric)
    return figure


def _panels(measured: Measured) -> list[str]:
    """Quality, and beside it fluency where quality is something else."""
    quality = selection.pick(selection.QUALITY[measured.task], measured.cells)
    fluency = selection.pick(selection.FLUENCY, measured.cells)
    return list(dict.fromkeys(m for m in (quality, fluency) if m is not None))


def _panel(
    ax: Axes, rows: Sequence[CellValues], series: Sequence[Series], diversity: str, metric: str
) -> None:
    crowd = max(1.0, sum(len(family.rows) for family in series) / 60)  # many points: paler intervals
    for family in series:
        x, y = _points(family.rows, diversity), _points(family.rows, metric)
        colour = family.look.colour
        errors: Any = {"xerr": _errors(family.rows, diversity), "yerr": _errors(family.rows, metric)}
        ax.errorbar(x, y, **errors, fmt="none", ecolor=colour, elinewidth=0.7, alpha=0.25 / crowd, zorder=2)
        ax.plot(
            x, y, linestyle=family.line or "none", color=colour, marker=family.look.marker, linewidth=1.2,
            markerfacecolor=colour if family.routing else "white", zorder=3 if family.routing else 4,
            **(LOOSE if not family.line else {"markersize": 5.0 / crowd**0.25} if family.routing else {}),
        )  # fmt: skip
    human = selection.human_in(rows)
    if human is not None and not METRICS[metric].against_human:
        level = human.get(metric).value
        ax.axhline(level, color="#888888", linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
        ax.plot(human.get(diversity).value, level, **STAR, zorder=5)
    ax.set_xlabel(names.axis_label(diversity))
    ax.set_ylabel(names.with_better(metric))
    if METRICS[metric].log_axis:
        ax.set_yscale("log")
    ax.margins(0.04)
    if METRICS[metric].log_axis:
        style.plain_log_ticks(ax.yaxis, *ax.get_ylim())


def _label(
    ax: Axes, rows: Sequence[CellValues], series: Sequence[Series], diversity: str, metric: str
) -> None:
    labels, marks, along = [], [np.empty((0, 2))], [np.empty((0, 2))]
    for family in series:
        points = np.column_stack([_points(family.rows, diversity), _points(family.rows, metric)])
        finite = np.isfinite(points).all(axis=1)
        marks.append(points[finite])
        if family.line:
            steps = np.linspace(0, 1, 12)[None, :, None]
            a, b = points[finite][:-1, None], points[finite][1:, None]
            along.append((a + (b - a) * steps).reshape(-1, 2))
        labels += [
            Label(x, y, text, style.shade(family.look.colour))
            for (x, y), text, seen in zip(points, family.labels, finite, strict=True)
            if seen and text
        ]
    human = selection.human_in(rows)
    if human is not None and not METRICS[metric].against_human:
        x, y = human.get(diversity).value, human.get(metric).value
        if math.isfinite(x + y):
            marks.append(np.array([[x, y]]))
            along.append(np.column_stack([np.linspace(*ax.get_xlim(), 200), np.full(200, y)]))
            labels.insert(0, Label(x, y, "human", "black"))
    place(ax, labels, np.concatenate(marks), np.concatenate(along))


def _points(rows: Sequence[CellValues], metric: str) -> np.ndarray:
    return np.array([row.get(metric).value for row in rows])


def _errors(rows: Sequence[CellValues], metric: str) -> np.ndarray:
    """(2, rows) distances to the interval's ends; 0 where it is missing.

    A bootstrap interval of a ratio need not hold the value itself, and matplotlib refuses negative
    lengths: such an end is drawn at the value.
    """
    values = [row.get(metric) for row in rows]
    ends = np.array([[v.value - v.lo, v.hi - v.value] for v in values]).reshape(-1, 2)
    return np.nan_to_num(np.clip(ends, 0, None)).T
