"""Quality of routing minus that of a curve of baselines at the same diversity, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from random_routing.comparison import CURVES
from random_routing.metrics import METRICS
from random_routing.report.figures import style
from random_routing.report.names import wrapped
from random_routing.results.compared import Matched
from random_routing.results.measured import CellValues, Measured
from random_routing.settings import Settings

DELTA = np.array([-1.0, 1.0])


def draw(measured: Measured, settings: Settings, width: float) -> Figure | None:
    """A panel per curve: x the decoder's diversity, y the difference; the zone that does not matter is grey. None where
    no decoder can be compared.
    """
    compared = measured.comparison
    shown = [record for record in compared.matched if not record.missing]
    if not shown:
        return None
    by_name = {cell.cell: cell for cell in measured.cells}
    looks = style.looks_of(settings, measured.task)
    curves = [curve for curve in CURVES if any(record.curve == curve for record in shown)]
    figure, panels = style.panels(width, len(curves))
    for ax, curve in zip(panels, curves, strict=True):
        _panel(
            ax,
            [r for r in shown if r.curve == curve],
            by_name,
            looks,
            compared.diversity,
            settings.confidence,
        )
        ax.set_title(f"minus {CURVES[curve]}, at equal diversity")
        ax.set_ylabel(f"difference in quality (up is better)\n{METRICS[compared.quality].axis}")
        ax.axhspan(
            *DELTA * settings.comparison.delta[measured.task], color="black", alpha=0.07, linewidth=0
        )
    present = {by_name[record.cell].variant for record in shown}
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle="none", label=name)
        for name, look in looks.items()
        if name in present
    ]
    hollow = Line2D([], [], color=style.GREY, marker="o", linestyle="none",
                    markerfacecolor="white", label="hollow: not shown (corrected)")  # fmt: skip
    style.legend(figure, [*handles, hollow])
    return figure


def _panel(
    ax: Axes,
    records: Sequence[Matched],
    cells: dict[str, CellValues],
    looks: dict[str, style.Look],
    diversity: str,
    confidence: float,
) -> None:
    for record in records:
        cell, value = cells[record.cell], record.difference
        look = looks[cell.variant]
        sure = record.p_adjusted < 1 - confidence
        ax.errorbar(
            cell.get(diversity).value, value, [[value - record.lo], [record.hi - value]],
            color=look.colour, marker=look.marker, linewidth=0.8, alpha=0.85,
            markerfacecolor=look.colour if sure else "white",
        )  # fmt: skip
    ax.axhline(0.0, color="black", linewidth=0.8, zorder=1)
    ax.set_xlabel(wrapped(METRICS[diversity].axis, style.FULL / 2))
    ax.margins(x=0.05)
