"""Metrics against r, the share of random steps, with confidence bands."""

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
from random_routing.report.names import people
from random_routing.results.measured import Measured
from random_routing.settings import Base, Settings

STYLES: dict[str, Any] = {"r": "-", "q": "-", "λ": ":", "": "none"}
LEGEND = {"r": "", "q": ", q alone", "λ": ", λ alone", "": ""}
PEOPLE = "people"
LEVELS: dict[str, Any] = {  # reference → line style
    PEOPLE: style.DOTTED,
    "plain sampling": (0, (6, 3)),
    "greedy": (0, (6, 2, 1, 2)),
}


def draw(measured: Measured, settings: Settings, width: float) -> Figure | None:
    """None where there is no metric or no routing cell to show."""
    rows = measured.cells
    routed = [row for row in rows if row.family == "routing"]
    metrics = selection.telling_metrics(measured)
    if not metrics:
        return None
    lines = [
        (style.variant_look(name, position), line)
        for position, (name, members) in enumerate(selection.variants_in(rows).items())
        for line in selection.lines(members, settings.variants[name], settings.lambda_means)
    ]
    references = {
        "plain sampling": selection.plain(rows, settings.variants, Base()),
        "greedy": selection.plain(rows, settings.variants, Base(greedy=True)),
    }
    writers = people(settings.tasks[measured.task])
    figure, axes = style.panels(width, len(metrics), 2.3)
    drawn = set[str]()
    for ax, metric in zip(axes, metrics, strict=True):
        for look, line in lines:
            _line(ax, look, line, metric)
        levels = {name: row.get(metric).value for name, row in references.items() if row is not None}
        levels[PEOPLE] = selection.human_value(rows, metric)
        for name, level in levels.items():
            if math.isfinite(level):
                colour = "black" if name == PEOPLE else style.GREY
                ax.axhline(level, linestyle=LEVELS[name], color=colour, linewidth=0.9, zorder=1.5)
                drawn.add(name)
        if METRICS[metric].log_axis:
            ax.set_yscale("log")
            style.plain_log_ticks(ax.yaxis, *ax.get_ylim())
        ax.set_title(names.panel_title(metric, width / len(metrics) if width == style.FULL else width))
        _rate_axis(ax, [row.r for row in routed])
    band = Patch(color=style.GREY, alpha=0.25, label=f"band: {settings.confidence:.0%} interval")
    style.legend(figure, [*_legend(lines, [name for name in LEVELS if name in drawn], writers), band])
    return figure


def _line(ax: Axes, look: Look, line: selection.Line, metric: str) -> None:
    rates = [row.r for row in line.rows]
    values = [row.get(metric) for row in line.rows]
    if line.knob:
        low, high = [v.lo for v in values], [v.hi for v in values]
        ax.fill_between(rates, low, high, color=look.colour, alpha=0.15, linewidth=0)
    ax.plot(
        rates, [v.value for v in values], linestyle=STYLES[line.knob], color=look.colour,
        marker=look.marker,
    )  # fmt: skip


def _rate_axis(ax: Axes, rates: Sequence[float]) -> None:
    """Logarithmic from the smallest positive rate up, linear from 0 to there, so that 0 has a place."""
    ax.set_xlabel("r, share of random steps")
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
    lines: Sequence[tuple[Look, selection.Line]], levels: Sequence[str], writers: str
) -> list[Line2D]:
    """writers: of the references."""
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle=STYLES[line.knob],
               label=look.name + LEGEND[line.knob])
        for look, line in lines
    ]  # fmt: skip
    handles += [
        Line2D(
            [],
            [],
            color="black" if name == PEOPLE else style.GREY,
            linestyle=LEVELS[name],
            label=writers if name == PEOPLE else name,
        )
        for name in levels
    ]
    return handles
