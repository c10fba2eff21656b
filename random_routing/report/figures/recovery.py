"""Where random tokens hurt: what one does to those after it."""

from __future__ import annotations

from matplotlib.figure import Figure

from random_routing.report.figures import style
from random_routing.results.measured import Measured
from random_routing.settings import Settings

FEWEST = 30  # events; with fewer, only the table has them


def draw(measured: Measured, settings: Settings, width: float) -> Figure | None:
    """The judge's log-probability of a token some tokens after an isolated random one, minus that of the same text
    without routes. None where too few tokens are isolated.
    """
    figure, (ax,) = style.panels(width, 1)
    for position, name in enumerate(settings.variants):
        shown = [r for r in measured.recovery if r.variant == name and r.events >= FEWEST]
        if not shown:
            continue
        look, lags = style.variant_look(name, position), [float(record.lag) for record in shown]
        ax.fill_between(
            lags, [r.lo for r in shown], [r.hi for r in shown], color=look.colour, alpha=0.12, linewidth=0
        )
        ax.plot(lags, [r.difference for r in shown], color=look.colour, marker=look.marker, label=name)
    if not ax.lines:
        return None
    ax.axhline(0.0, color="black", linewidth=0.8, zorder=1)
    ax.set_xscale("log", base=2)
    ax.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    ax.set_xlabel("tokens after an isolated random one")
    ax.set_ylabel("log-probability, judge\nminus that without routes (nats)")
    style.legend(figure, ax.get_legend_handles_labels()[0])
    return figure
