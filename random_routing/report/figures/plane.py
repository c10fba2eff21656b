"""Quality against diversity: does routing buy diversity cheaper than today's decoders do?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from random_routing.metrics import METRICS
from random_routing.report import names, selection
from random_routing.report.figures import style
from random_routing.report.figures.label_places import Label, place
from random_routing.report.figures.plane_series import LOOSE, Series, all_series, curve, near, values
from random_routing.report.names import people
from random_routing.results.measured import CellValues, Measured
from random_routing.settings import Settings

HEIGHT = 2.7  # inches, of a panel


def draw(measured: Measured, settings: Settings, width: float) -> Figure:
    """All decoders, and beside them the part of the plane where those of the hypotheses lie; up is better. A band
    around the temperature curve holds differences of quality that do not matter.
    """
    rows, compared = measured.cells, measured.comparison
    across, along = compared.diversity, compared.quality
    series, delta = all_series(rows, settings), settings.comparison.delta[measured.task]
    part = near(measured, settings)
    figure, axes = style.panels(width, 2 if part else 1, HEIGHT if part else 3.2)
    human = selection.human_value(rows, along)
    for ax in axes:
        # Intervals of decoders that share their noise say little of differences: the second has none.
        _panel(ax, series, across, along, delta, ax is axes[0], human)
    if part:
        axes[0].set_title("all decoders")
        axes[1].set_title("where the hypotheses are decided")
        axes[1].set_xlim(*part.x)
        axes[1].set_ylim(*(part.y[::-1] if axes[1].yaxis_inverted() else part.y))
        axes[1].xaxis.set_major_locator(MaxNLocator(5))
    writers = people(settings.tasks[measured.task]) if math.isfinite(human) else ""
    style.legend(figure, _legend(series, across, delta, writers))
    figure.draw_without_rendering()  # settles the layout, which the labels need
    figure.set_layout_engine("none")
    for ax in axes:
        _label(ax, series, across, along)
    return figure


def _panel(
    ax: Axes, series: Sequence[Series], across: str, along: str, delta: float, intervals: bool, human: float
) -> None:
    crowd = max(1.0, sum(len(family.rows) for family in series) / 60)  # many points: paler intervals
    for family in series:
        x, y = values(family.rows, across, along).T
        colour = family.look.colour
        if is_level(family, across):
            ax.axhline(y[0], color=colour, linewidth=0.9, linestyle="--", zorder=1)
            continue
        errors: Any = {"xerr": _errors(family.rows, across), "yerr": _errors(family.rows, along)}
        if intervals:
            ax.errorbar(
                x, y, **errors, fmt="none", ecolor=colour, elinewidth=0.6, alpha=0.35 / crowd, zorder=2
            )
        line = "" if family.equivalent else family.line  # whose own is drawn below
        ax.plot(
            x, y, linestyle=line or "none", color=colour, marker=family.look.marker,
            markerfacecolor=colour if family.routing else "white", zorder=3 if family.routing else 4,
            **(LOOSE if not family.line else {"markersize": 4.0 / crowd**0.25} if family.routing else {}),
        )  # fmt: skip
        if family.equivalent:
            x, y = curve(family.rows, across, along).T
            ax.plot(x, y, color=colour, zorder=2)
            ax.fill_between(x, y - delta, y + delta, color="black", alpha=0.09, linewidth=0)
    if math.isfinite(human):
        ax.axhline(human, color="black", linewidth=0.9, linestyle=style.DOTTED, zorder=1)
    ax.set_xlabel(names.axis_label(across, style.FULL / 2))
    ax.set_ylabel(names.with_better(along, HEIGHT * 0.75))
    if METRICS[along].log_axis:
        ax.set_yscale("log")
    ax.margins(0.05)
    if METRICS[along].log_axis:
        style.plain_log_ticks(ax.yaxis, *ax.get_ylim())
    if METRICS[along].better == "lower":
        ax.invert_yaxis()


def is_level(family: Series, across: str) -> bool:
    """Whether it has no diversity: a rule says one thing of an example, and its quality is a line."""
    return all(math.isnan(row.get(across).value) for row in family.rows)


def _legend(series: Sequence[Series], across: str, delta: float, writers: str) -> list[Any]:
    """writers: of the references; empty where they have no line."""
    handles: list[Any] = [
        Line2D([], [], color=family.look.colour, linewidth=0.9, linestyle="--", label=family.look.name)
        if is_level(family, across)
        else Line2D(
            [], [], color=family.look.colour, marker=family.look.marker, label=family.look.name,
            markerfacecolor=family.look.colour if family.routing else "white",
            linestyle=(family.line if len(family.rows) > 1 else "") or "none",
            **({} if family.line else LOOSE),
        )
        for family in series
    ]  # fmt: skip
    if writers:
        handles.append(Line2D([], [], color="black", linewidth=0.9, linestyle=style.DOTTED, label=writers))
    if any(family.equivalent for family in series):
        handles.append(Patch(color="black", alpha=0.12, label=f"T ± Δ, {delta:g}"))
    return handles


def _label(ax: Axes, series: Sequence[Series], across: str, along: str) -> None:
    labels, marks, lines = [], [np.empty((0, 2))], [np.empty((0, 2))]
    low, high = sorted(ax.get_xlim())
    bottom, top = sorted(ax.get_ylim())
    for family in series:
        points = values(family.rows, across, along)
        inside = np.all((points >= [low, bottom]) & (points <= [high, top]), axis=1)
        marks.append(points[inside])
        if family.line:
            steps = np.linspace(0, 1, 12)[None, :, None]
            known = points[np.isfinite(points).all(1)]
            a, b = known[:-1, None], known[1:, None]
            lines.append((a + (b - a) * steps).reshape(-1, 2))
        labels += [
            Label(x, y, text, style.shade(family.look.colour))
            for (x, y), text, seen in zip(points, family.labels, inside, strict=True)
            if seen and text
        ]
    place(ax, labels, np.concatenate(marks), np.concatenate(lines))


def _errors(rows: Sequence[CellValues], metric: str) -> np.ndarray:
    """(2, rows) distances to the interval's ends; 0 where it is missing.

    A bootstrap interval of a ratio need not hold the value itself, and matplotlib refuses negative
    lengths: such an end is drawn at the value.
    """
    values = [row.get(metric) for row in rows]
    ends = np.array([[v.value - v.lo, v.hi - v.value] for v in values]).reshape(-1, 2)
    return np.nan_to_num(np.clip(ends, 0, None)).T
