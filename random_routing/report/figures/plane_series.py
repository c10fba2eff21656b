"""What the quality-diversity plane shows: one series of points per decoder family, and their legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.lines import Line2D

from random_routing.report import selection
from random_routing.report.figures import style
from random_routing.report.figures.style import Look
from random_routing.results.measured import CellValues
from random_routing.settings import Settings

NAMED_RATES = (0.1, 0.3)  # worth a label on a curve over r, beside its last rate
LEGEND_COLUMNS = 7
LEGEND = {"r": "", "q": ", q alone", "λ": ", λ alone", "": ", both"}
STYLES = {"r": "-", "q": "-", "λ": ":", "": ""}
LOOSE: dict[str, Any] = {"markersize": 3.5, "alpha": 0.55}
STAR: dict[str, Any] = {
    "marker": style.HUMAN.marker, "markersize": 13, "linestyle": "none",
    "markerfacecolor": style.HUMAN.colour, "markeredgecolor": "black",
}  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Points of one decoder family. labels: one per row, empty where none is wanted."""

    look: Look
    rows: tuple[CellValues, ...]
    labels: tuple[str, ...]
    line: Any  # matplotlib line style; "" for loose points
    routing: bool


def all_series(rows: Sequence[CellValues], settings: Settings) -> list[Series]:
    """Baselines first, then routing."""
    return [*_baselines(rows), *_routing(rows, settings)]


def _baselines(rows: Sequence[CellValues]) -> list[Series]:
    series = []
    for family, members in selection.baselines_in(rows).items():
        look = style.FAMILY_LOOKS[family]
        names = ["" if math.isnan(row.setting) else f"{row.setting:g}" for row in members]
        if len(members) == 1:
            names = [look.letter + name if name else look.name for name in names]
        else:
            between = names[1:-1] if family == "temperature" else [""] * (len(names) - 2)
            names = [look.letter + names[0], *between, look.letter + names[-1]]
        series.append(Series(look, tuple(members), tuple(names), "--", routing=False))
    return series


def _routing(rows: Sequence[CellValues], settings: Settings) -> list[Series]:
    """Per variant: its lines, and the cells off them as loose points."""
    series = []
    for position, (name, members) in enumerate(selection.variants_in(rows).items()):
        look = style.variant_look(name, position)
        edges = selection.lines(members, settings.variants[name], settings.lambda_means)
        for edge in edges:
            named = replace(look, name=name + LEGEND[edge.knob])
            series.append(Series(named, edge.rows, _rates(edge), STYLES[edge.knob], routing=True))
        known = {row.decoder for edge in edges for row in edge.rows}
        if loose := tuple(row for row in selection.distinct(members) if row.decoder not in known):
            named = replace(look, name=f"{name}, both")
            series.append(Series(named, loose, ("",) * len(loose), "", routing=True))
    return series


def _rates(line: selection.Line) -> tuple[str, ...]:
    knob = {"r": "r", "q": "q", "λ": "λ", "": "r"}[line.knob]
    names = []
    for row in line.rows:
        value = row.lam if knob == "λ" else row.q if knob == "q" else row.r
        wanted = (knob == "r" and row.r in NAMED_RATES) or (row is line.rows[-1] and row.r > 0)
        names.append(f"{knob}={value:.2g}" if wanted else "")
    return tuple(names)


def legend(series: Sequence[Series], rows: Sequence[CellValues]) -> tuple[list[Line2D], int]:
    """Handles and the number of columns, so that the rows read as baselines, then routing."""
    baselines = [_handle(family) for family in series if not family.routing]
    if selection.human_in(rows) is not None:
        baselines.append(Line2D([], [], label=style.HUMAN.name, **{**STAR, "markersize": 10}))
    groups = [baselines, [_handle(family) for family in series if family.routing]]
    for columns in range(min(LEGEND_COLUMNS, max(map(len, groups))), 0, -1):
        handles = _down(groups, columns)
        if style.legend_columns([str(h.get_label()) for h in handles], columns) == columns:
            break
    return handles, columns


def _down(groups: Sequence[Sequence[Line2D]], columns: int) -> list[Line2D]:
    """Each group in rows of its own, in matplotlib's order: down the first column, then the next."""
    table = []
    for group in groups:
        for start in range(0, len(group), columns):
            line = list(group[start : start + columns])
            empty = [Line2D([], [], linestyle="none", label=" ") for _ in range(columns - len(line))]
            table.append(line + empty)
    return [line[column] for column in range(columns) for line in table]


def _handle(family: Series) -> Line2D:
    return Line2D(
        [], [], color=family.look.colour, marker=family.look.marker, label=family.look.name,
        markerfacecolor=family.look.colour if family.routing else "white",
        linestyle=(family.line if len(family.rows) > 1 else "") or "none",
        **({} if family.line else LOOSE),
    )  # fmt: skip
