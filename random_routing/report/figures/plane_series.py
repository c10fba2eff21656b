"""What the quality-diversity plane shows: a series of points per family of decoders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from random_routing.comparison.contrasts import chosen
from random_routing.comparison.curves import Cubics, isotonic
from random_routing.law.cells import all_cells
from random_routing.metrics import METRICS
from random_routing.report import selection
from random_routing.report.figures import style
from random_routing.report.figures.style import Look
from random_routing.report.names import setting_in_words
from random_routing.results.measured import CellValues, Measured
from random_routing.settings import Settings

NAMED_RATES = (0.1, 0.3)  # worth a label on a curve over r, beside its last rate
ROOM = 0.12  # around a part of the plane, as a share of its range
LEGEND = {"r": "", "q": ", q alone", "λ": ", λ alone", "": ", both"}
STYLES = {"r": "-", "q": "-", "λ": ":", "": ""}
STEPS = 8  # of a curve from a decoder to the next
LOOSE: dict[str, Any] = {"markersize": 2.8, "alpha": 0.6}


@dataclass(frozen=True)
class Series:
    """Points of one family of decoders. labels: one per row, empty where none is wanted."""

    look: Look
    rows: tuple[CellValues, ...]
    labels: tuple[str, ...]
    line: Any  # matplotlib line style; "" for loose points
    routing: bool
    equivalent: bool = False  # whether what is near to its curve is called equivalent


def of_hypotheses(measured: Measured, settings: Settings) -> list[CellValues]:
    """Rows of the decoders that the task's hypotheses are about."""
    task = settings.tasks[measured.task]
    cells = all_cells(settings, task)
    about = {
        cell.name
        for contrast in settings.comparison.contrasts.values()
        if not contrast.tasks or task.name in contrast.tasks
        for cell in chosen(contrast, cells)
    }
    return [row for row in measured.cells if row.cell in about]


@dataclass(frozen=True)
class Part:
    """A part of the plane: the ends of diversity and of quality, ascending."""

    x: tuple[float, float]
    y: tuple[float, float]


def near(measured: Measured, settings: Settings) -> Part | None:
    """Where the decoders of the hypotheses lie, with their neighbours in diversity on the temperature curve; None
    without any.
    """
    across, along = measured.comparison.diversity, measured.comparison.quality
    part = values(of_hypotheses(measured, settings), across, along)
    part = part[np.isfinite(part).all(1)]
    if not len(part):
        return None
    seen = [part]
    for curve in (family for family in all_series(measured.cells, settings) if family.equivalent):
        points = values(curve.rows, across, along)
        left = np.nanmax(np.where(points[:, 0] <= part[:, 0].min(), points[:, 0], -np.inf))
        right = np.nanmin(np.where(points[:, 0] >= part[:, 0].max(), points[:, 0], np.inf))
        seen.append(points[(points[:, 0] >= left) & (points[:, 0] <= right)])
    low, high = np.nanmin(np.concatenate(seen), axis=0), np.nanmax(np.concatenate(seen), axis=0)
    room = ROOM * np.maximum(high - low, 1e-6)
    across_ends = (float(low[0] - room[0]), float(high[0] + room[0]))
    if METRICS[along].log_axis:
        return Part(across_ends, (float(low[1] / 1.3), float(high[1] * 1.3)))
    return Part(across_ends, (float(low[1] - room[1]), float(high[1] + room[1])))


def values(rows: Sequence[CellValues], *metrics: str) -> np.ndarray:
    """(rows, metrics)"""
    return np.array([[row.get(metric).value for metric in metrics] for row in rows]).reshape(
        -1, len(metrics)
    )


def curve(rows: Sequence[CellValues], across: str, along: str) -> np.ndarray:
    """(n, 2): the curve through decoders over their setting as the comparison reads it
    (`random_routing.comparison.curves`; of a quality with a sign, its size). Decoders without a value are left out.
    """
    members = {0.0 if row.family == "greedy" else row.setting: row for row in rows}
    settings = np.array(sorted(members))
    points = values([members[setting] for setting in settings], across, along)
    known = np.isfinite(points).all(1)
    settings, points = settings[known], points[known]
    if len(points) < 2:
        return points
    up = -1 if METRICS[across].better == "lower" else 1
    points[:, 0] = up * isotonic(up * points[:, 0])
    places = np.linspace(0, len(points) - 1, STEPS * (len(points) - 1) + 1)
    cubics = Cubics(settings, points.T)
    return np.stack([cubics.at(np.full(2, at)) for at in np.interp(places, range(len(points)), settings)])


def all_series(rows: Sequence[CellValues], settings: Settings) -> list[Series]:
    """Baselines first, then routing."""
    return [*_baselines(rows, settings), *_routing(rows, settings)]


def _baselines(rows: Sequence[CellValues], settings: Settings) -> list[Series]:
    """Greedy decoding is the temperature curve's T = 0."""
    families, series = selection.baselines_in(rows), []
    if "temperature" in families:
        families["temperature"] = [*families.pop("greedy", []), *families["temperature"]]
    for family, members in families.items():
        look, curve = style.FAMILY_LOOKS[family], family == "temperature"
        # Of annealing the two ends are enough here.
        written = [setting_in_words(row, settings).partition(",")[0] for row in members]
        named = [value or "greedy" for value in written]
        if len(members) == 1 or curve:
            first = next((i for i, row in enumerate(members) if row.family != "greedy"), 0)
            named[first] = look.letter + named[first]
        else:
            named = [look.letter + named[0], *[""] * (len(named) - 2), look.letter + named[-1]]
        series.append(Series(look, tuple(members), tuple(named), "-" if curve else "--", False, curve))
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
        names.append(f"{knob}={value:.2g}" if wanted and math.isfinite(value) else "")
    return tuple(names)
