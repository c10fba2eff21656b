"""Quality of routing minus that of a curve of baselines at the same diversity, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from random_routing.comparison import CURVES
from random_routing.metrics import METRICS
from random_routing.report.figures import style
from random_routing.results.compared import Matched
from random_routing.results.measured import CellValues, Measured
from random_routing.settings import Settings


def draw(measured: Measured, settings: Settings) -> Figure | None:
    """A panel per curve: x the decoder's diversity, y the difference. None where no decoder can be compared."""
    compared = measured.comparison
    shown = [record for record in compared.matched if not record.missing]
    if not shown:
        return None
    by_name = {cell.cell: cell for cell in measured.cells}
    looks = {name: style.variant_look(name, i) for i, name in enumerate(settings.variants)}
    curves = [curve for curve in CURVES if any(record.curve == curve for record in shown)]
    figure = Figure(figsize=(style.WIDTH, 3.8), layout="constrained")
    panels = figure.subplots(1, len(curves), squeeze=False, sharey=True)[0]
    for ax, curve in zip(panels, curves, strict=True):
        _panel(ax, [r for r in shown if r.curve == curve], by_name, looks, settings)
        ax.set_title(f"minus the {CURVES[curve]} curve at equal diversity", loc="left", fontsize=9)
    quality = METRICS[compared.quality].axis
    panels[0].set_ylabel(f"difference in quality (up is better)\n{quality}")
    present = {by_name[record.cell].variant for record in shown}
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4, linestyle="none", label=name)
        for name, look in looks.items()
        if name in present
    ]
    hollow = Line2D([], [], color="#777777", marker="o", markersize=4, linestyle="none",
                    markerfacecolor="white", label="hollow: no difference shown (corrected)")  # fmt: skip
    labels = [*present, str(hollow.get_label())]
    columns = style.legend_columns(labels, 6)
    figure.legend(handles=[*handles, hollow], loc="outside lower center", ncols=columns)
    return figure


def _panel(
    ax: Axes,
    records: Sequence[Matched],
    cells: dict[str, CellValues],
    looks: dict[str, style.Look],
    settings: Settings,
) -> None:
    diversity = settings.comparison.diversity
    for record in records:
        cell, value = cells[record.cell], record.difference
        look = looks[cell.variant]
        sure = record.p_adjusted < 1 - settings.confidence
        ax.errorbar(
            cell.get(diversity).value, value, [[value - record.lo], [record.hi - value]],
            color=look.colour, marker=look.marker, markersize=4, linewidth=0.8, alpha=0.85,
            markerfacecolor=look.colour if sure else "white",
        )  # fmt: skip
    ax.axhline(0.0, color="black", linewidth=0.8, zorder=1)
    ax.set_xlabel(METRICS[diversity].axis)
    ax.margins(x=0.05)
