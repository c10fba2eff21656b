"""How often gates opened, beside what the law says."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from random_routing.report.figures import style
from random_routing.report.names import route_name
from random_routing.results.measured import Measured
from random_routing.settings import Settings


def draw(measured: Measured, settings: Settings, width: float) -> Figure | None:
    """Share of steps on a random route over the share by the law. None without routes."""
    records = measured.gates
    if not records:
        return None
    looks = style.looks_of(settings, measured.task)
    figure, (ax,) = style.panels(width, 1)
    for record in records:
        look, expected, observed = looks[record.variant], record.expected, record.observed
        if not expected > 0:  # the law gives no number, or 0
            continue
        ends = [[(observed - record.lo) / expected], [(record.hi - observed) / expected]]
        ax.errorbar(
            expected, observed / expected, ends, color=look.colour, marker=look.marker,
            markerfacecolor=look.colour if record.route != "λ" else "white", linewidth=0.8, alpha=0.8,
        )  # fmt: skip
    ax.axhline(1.0, color="black", linewidth=0.8, zorder=1)
    ax.set_xscale("log")
    style.plain_log_ticks(ax.xaxis, *ax.get_xlim())
    ax.set_xlabel("share of steps on a random route, by the law")
    ax.set_ylabel("observed / expected")
    there = {record.variant for record in records}
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle="none", label=name)
        for name, look in looks.items()
        if name in there
    ]
    style.legend(figure, [*handles, *_routes(record.route for record in records)])
    return figure


def _routes(of_records: Iterable[str]) -> list[Line2D]:
    """The legend's entries of filled and hollow marks, for the routes that there are."""
    routes = list(dict.fromkeys(of_records))
    filled = ", or ".join(route_name(route) for route in routes if route != "λ")
    hollow = ", ".join(route_name(route) for route in routes if route == "λ")
    return [
        Line2D([], [], color=style.GREY, marker="o", linestyle="none", markerfacecolor=face, label=label)
        for face, label in ((style.GREY, filled), ("white", hollow))
        if label
    ]
