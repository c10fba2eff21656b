"""Metrics against the effective rate r, with confidence bands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from random_routing.metrics import METRICS
from random_routing.report import names, selection
from random_routing.report.figures import style
from random_routing.report.figures.style import Look
from random_routing.results.measured import CellValues, Measured
from random_routing.settings import Base, Settings

STYLES: dict[str, Any] = {"r": "-", "q": "-", "λ": ":", "": "none"}
LEGEND = {"r": "", "q": ", q alone (no λ-route)", "λ": ", λ alone (q = 0)", "": ""}
LEVELS = {  # reference → line style
    "human texts": (0, (1, 1.5)),
    "plain sampling": (0, (6, 3)),
    "greedy": (0, (6, 2, 1, 2)),
}
GREY = "#777777"


def draw(measured: Measured, settings: Settings) -> Figure | None:
    """None where there is no metric or no routing cell to show."""
    rows = measured.cells
    routed = [row for row in rows if row.family == "routing"]
    roles = (selection.DIVERSITY, selection.FLUENCY, selection.RELEVANCE[measured.task])
    metrics = [m for m in (selection.pick(role, routed) for role in roles) if m is not None]
    if not metrics:
        return None
    lines = [
        (style.variant_look(name, position), line)
        for position, (name, members) in enumerate(selection.variants_in(rows).items())
        for line in selection.lines(members, settings.variants[name], settings.lambda_means)
    ]
    levels = {
        "human texts": selection.human_in(rows),
        "plain sampling": selection.plain(rows, settings.variants, Base()),
        "greedy": selection.plain(rows, settings.variants, Base(greedy=True)),
    }
    figure = Figure(figsize=(style.WIDTH, 3.9), layout="constrained")
    for ax, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        for look, line in lines:
            _line(ax, look, line, metric)
        for name, row in levels.items():
            _level(ax, name, row, metric)
        if METRICS[metric].log_axis:
            ax.set_yscale("log")
            style.plain_log_ticks(ax.yaxis, *ax.get_ylim())
        ax.set_title(names.panel_title(metric), loc="left", fontsize=9)
        _rate_axis(ax, [row.r for row in routed])
    handles = _legend(lines, levels)
    columns = style.legend_columns([str(handle.get_label()) for handle in handles], 4)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    return figure


def _line(ax: Axes, look: Look, line: selection.Line, metric: str) -> None:
    rates = [row.r for row in line.rows]
    values = [row.get(metric) for row in line.rows]
    if line.knob:
        low, high = [v.lo for v in values], [v.hi for v in values]
        ax.fill_between(rates, low, high, color=look.colour, alpha=0.15, linewidth=0)
    ax.plot(
        rates, [v.value for v in values], linestyle=STYLES[line.knob], color=look.colour,
        marker=look.marker, markersize=4,
    )  # fmt: skip


def _level(ax: Axes, name: str, row: CellValues | None, metric: str) -> None:
    if row is None or (row.family == "human" and METRICS[metric].against_human):
        return
    value = row.get(metric).value
    if not math.isnan(value):
        colour = "black" if row.family == "human" else GREY
        ax.axhline(value, linestyle=LEVELS[name], color=colour, linewidth=1.0, zorder=1.5)


def _rate_axis(ax: Axes, rates: Sequence[float]) -> None:
    """Logarithmic from the smallest positive rate up, linear from 0 to there, so that 0 has a place."""
    ax.set_xlabel("r, share of steps on a random route")
    positive = [rate for rate in rates if rate > 0]
    first, last = min(positive, default=0.0), max(positive, default=0.0)
    if last < 10 * first or not positive:
        ax.set_xlim(-0.02, min(max(last * 1.05, 0.1), 1.02))
        return
    ax.set_xscale("symlog", linthresh=first, linscale=0.5)
    ax.set_xlim(-first * 0.15 if min(rates) == 0 else first * 0.8, last * 1.15)
    decades = 10.0 ** np.arange(math.floor(math.log10(first)), 1)
    steps = (1, 3) if last / first < 300 else (1,)
    ticks = [0.0, *(d * s for d in decades for s in steps if first * 0.99 <= d * s <= last * 1.01)]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter("{x:g}")


def _legend(
    lines: Sequence[tuple[Look, selection.Line]], levels: dict[str, CellValues | None]
) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4, linestyle=STYLES[line.knob],
               label=look.name + LEGEND[line.knob])
        for look, line in lines
    ]  # fmt: skip
    handles += [
        Line2D([], [], color="black" if name == "human texts" else GREY, linestyle=LEVELS[name], label=name)
        for name, row in levels.items()
        if row is not None
    ]
    return [*handles, Patch(color=GREY, alpha=0.25, label="band: confidence interval")]
