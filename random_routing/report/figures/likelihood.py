"""What a rate r costs: how likely human texts are under the law, minus the same without routes."""

from __future__ import annotations

from matplotlib.figure import Figure

from random_routing.report.figures import style
from random_routing.report.names import one_route, people
from random_routing.results.measured import Measured
from random_routing.settings import BY_R, Settings

STYLES = {"q": "-", BY_R: "-", "λ": ":"}
FIRST, LAST = 1e-4, 0.3  # rates: the axis is linear from 0 to the first
CHEAP, LOWEST = 0.01, -0.1  # in the unit: what is called cheap, and where the axis ends


def draw(measured: Measured, settings: Settings, width: float) -> Figure | None:
    """A curve per variant and route, with its best r marked. None where no route has a closed form."""
    looks = style.looks_of(settings, measured.task)
    figure, (ax,) = style.panels(width, 1)
    highest = CHEAP
    for record in measured.likelihood:
        curve = [
            point for point in record.curve if point.r <= LAST and point.difference == point.difference
        ]
        if not curve:
            continue
        rates, values = [point.r for point in curve], [point.difference for point in curve]
        low, high = [point.difference_lo for point in curve], [point.difference_hi for point in curve]
        look, name = looks[record.variant], f"{record.variant}, {one_route(record.route)}"
        ax.fill_between(rates, low, high, color=look.colour, alpha=0.1, linewidth=0)
        ax.plot(rates, values, STYLES[record.route], color=look.colour, label=name)
        best = max(range(len(values)), key=values.__getitem__)
        ax.plot(rates[best], values[best], look.marker, color=look.colour)
        highest = max(highest, *high)
    if not ax.lines:
        return None
    ax.axhspan(-CHEAP, CHEAP, color="black", alpha=0.07, linewidth=0)
    ax.axhline(0.0, color="black", linewidth=0.6, zorder=1)
    ax.set_xscale("symlog", linthresh=FIRST, linscale=0.3)
    ax.set_xlim(0, LAST)
    ax.set_ylim(LOWEST, 1.15 * highest)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel("r, share of steps on the random route")
    writers = people(settings.tasks[measured.task])
    ax.set_ylabel(f"log-likelihood of {writers}\nminus that at r = 0 ({measured.likelihood[0].unit})")
    style.legend(figure, ax.get_legend_handles_labels()[0])
    return figure
