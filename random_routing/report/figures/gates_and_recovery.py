"""What the routes did, as a figure: how often gates opened, and what a random token did to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from random_routing.report.figures import style
from random_routing.report.names import route_name
from random_routing.results.measured import GateRate, Recovery
from random_routing.settings import Variant

GREY = "#777777"
FEWEST = 30  # events; with fewer, only the table has them


def draw(
    gates: Sequence[GateRate], recovery: Sequence[Recovery], variants: dict[str, Variant]
) -> Figure | None:
    """Left: share of steps on a random route over the share by the law. Right: recovery. None without routes."""
    if not gates:
        return None
    looks = {name: style.variant_look(name, i) for i, name in enumerate(variants)}
    figure = Figure(figsize=(style.WIDTH, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _gates(left, gates, looks)
    _recovery(right, recovery, looks)
    shown = [name for name in looks if any(record.variant == name for record in gates)]
    handles = [
        Line2D([], [], color=looks[name].colour, marker=looks[name].marker, markersize=4, label=name)
        for name in shown
    ]
    handles += _routes(record.route for record in gates)
    columns = style.legend_columns([str(handle.get_label()) for handle in handles], 6)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    return figure


def _routes(of_records: Iterable[str]) -> list[Line2D]:
    """The legend's entries of filled and hollow marks, for the routes that there are."""
    routes = list(dict.fromkeys(of_records))
    filled = ", or ".join(route_name(route) for route in routes if route != "λ")
    hollow = ", ".join(route_name(route) for route in routes if route == "λ")
    return [
        Line2D([], [], color=GREY, marker="o", markersize=4, linestyle="none", markerfacecolor=face, label=label)
        for face, label in ((GREY, filled), ("white", hollow))
        if label
    ]  # fmt: skip


def _gates(ax: Axes, records: Sequence[GateRate], looks: dict[str, style.Look]) -> None:
    for record in records:
        look, expected, observed = looks[record.variant], record.expected, record.observed
        if not expected > 0:  # the law gives no number, or 0
            continue
        ends = [[(observed - record.lo) / expected], [(record.hi - observed) / expected]]
        ax.errorbar(
            expected, observed / expected, ends, color=look.colour, marker=look.marker, markersize=4,
            markerfacecolor=look.colour if record.route != "λ" else "white", linewidth=0.8, alpha=0.8,
        )  # fmt: skip
    ax.axhline(1.0, color="black", linewidth=0.8, zorder=1)
    ax.set_xscale("log")
    style.plain_log_ticks(ax.xaxis, *ax.get_xlim())
    ax.set_xlabel("share of steps on a random route, by the law")
    ax.set_title(
        "how often gates opened\nobserved / expected, exact binomial interval", loc="left", fontsize=9
    )


def _recovery(ax: Axes, records: Sequence[Recovery], looks: dict[str, style.Look]) -> None:
    for name, look in looks.items():
        shown = [record for record in records if record.variant == name and record.events >= FEWEST]
        if not shown:
            continue
        lags = [float(record.lag) for record in shown]
        low, high = [record.lo for record in shown], [record.hi for record in shown]
        ax.fill_between(lags, low, high, color=look.colour, alpha=0.12, linewidth=0)
        ax.plot(
            lags,
            [record.difference for record in shown],
            color=look.colour,
            marker=look.marker,
            markersize=4,
        )
    ax.axhline(0.0, color="black", linewidth=0.8, zorder=1)
    ax.set_xscale("log", base=2)
    ax.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    ax.set_xlabel("tokens after an isolated random token (variants with 30 or more)")
    ax.set_title(
        "recovery: judge's log-probability of a token\nminus that without routes (nats; 0: recovered)",
        loc="left", fontsize=9,
    )  # fmt: skip
