"""Heat maps over q × λ: a row per variant; columns diversity, fluency, relevance or quality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from random_routing.metrics import METRICS
from random_routing.report import selection
from random_routing.report.figures.style import SMALL, WIDTH, plain_log_ticks
from random_routing.report.names import axis_label, short
from random_routing.results.measured import CellValues, Measured
from random_routing.settings import Route, Settings, Variant

LEFT, RIGHT, GAP = 0.65, 0.15, 0.3  # inches
HEADER, TITLE, TICKS, PANEL, FOOT = 0.82, 0.34, 0.18, 1.85, 0.5  # inches; PANEL: the height of a heat map
MEANS = {"explore": "weight of the random route", "exploit": "weight of the model"}


@dataclass(frozen=True)
class Column:
    metric: str
    norm: Normalize
    human: float


def draw(measured: Measured, settings: Settings) -> Figure | None:
    """None where there is no metric or no routing cell to show."""
    rows, means = measured.cells, settings.lambda_means
    routed = [row for row in rows if row.family == "routing"]
    roles = (selection.DIVERSITY, selection.FLUENCY, selection.RELEVANCE[measured.task])
    metrics = [m for m in (selection.pick(role, routed) for role in roles) if m is not None]
    if not metrics:
        return None
    columns = [_column(metric, rows, routed) for metric in metrics]
    blocks = selection.variants_in(rows)
    scales = {tuple(sorted({row.lam for row in members})) for members in blocks.values()}
    own_scales = len(scales) > 1  # then every block needs the names of its columns
    title = TITLE + (TICKS if own_scales else 0.0)
    height = HEADER + len(blocks) * (title + PANEL) + FOOT
    figure = Figure(figsize=(WIDTH, height))
    width = (WIDTH - LEFT - RIGHT - GAP * (len(columns) - 1)) / len(columns)
    for i, column in enumerate(columns):
        left = LEFT + i * (width + GAP)
        _colour_bar(_axes(figure, left, height - 0.6, width, 0.12), column)
        for j, (name, members) in enumerate(blocks.items()):
            bottom = FOOT + (len(blocks) - 1 - j) * (title + PANEL)
            ax = _axes(figure, left, bottom, width, PANEL)
            _map(ax, members, column, width)
            if i == 0:
                _name(ax, name, settings.variants[name], means)
            ax.tick_params(labelleft=i == 0, labelbottom=own_scales or j == len(blocks) - 1)
            if j == len(blocks) - 1:
                ax.set_xlabel(f"λ ({MEANS[means]})")
    return figure


def _column(metric: str, rows: Sequence[CellValues], routed: Sequence[CellValues]) -> Column:
    """One colour scale over all variants."""
    values = [v for v in (row.get(metric).value for row in routed) if not math.isnan(v)]
    human = selection.human_in(rows)
    tells = human is not None and not METRICS[metric].against_human
    low, high = min(values), max(values)
    if low == high:  # a grid of one cell
        low, high = low * 0.9 - 1e-9, high * 1.1 + 1e-9
    log = METRICS[metric].log_axis and low > 0
    norm = LogNorm(low, high) if log else Normalize(low, high)
    return Column(metric, norm, human.get(metric).value if human is not None and tells else math.nan)


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes placed in inches, so that panels keep their size however many variants there are."""
    total = figure.get_figheight()
    return figure.add_axes((left / WIDTH, bottom / total, width / WIDTH, height / total))


def _colour_bar(ax: Axes, column: Column) -> None:
    figure: Any = ax.get_figure(root=True)
    bar = figure.colorbar(ScalarMappable(column.norm, "cividis"), cax=ax, orientation="horizontal")
    bar.outline.set_visible(False)
    axis = bar.ax.xaxis
    if isinstance(column.norm, LogNorm):
        plain_log_ticks(axis, *bar.ax.get_xlim())
    else:
        axis.set_major_locator(MaxNLocator(5))
    ax.tick_params(length=2, pad=2)
    human = "" if math.isnan(column.human) else f"human texts: {short(column.human)}"
    ax.annotate(axis_label(column.metric), (0, 1), (0, 20), "axes fraction", "offset points")
    ax.annotate(human, (0, 1), (0, 8), "axes fraction", "offset points", fontsize=SMALL)
    low, high = bar.ax.get_xlim()
    if low <= column.human <= high:
        above = ax.get_xaxis_transform()
        ax.plot(column.human, 1.3, "v", color="black", markersize=4, clip_on=False, transform=above)


def note(variant: Variant, means: str) -> str:
    if variant.collapses:
        rest = "(1−λ)" if means == "explore" else "λ"
        return f"{_route(variant.q_route)}; q and λ count only through r = 1 − (1−q){rest}"
    if variant.q_route == variant.lambda_route:
        routes = f"random route: {_route(variant.q_route)}"
    else:
        routes = f"random route of q: {_route(variant.q_route)}, of λ: {_route(variant.lambda_route)}"
    gates = [
        gate.kind for gate in dict.fromkeys((variant.q_gate, variant.lambda_gate)) if gate.kind != "token"
    ]
    schedules = [
        s.kind for s in dict.fromkeys((variant.q_schedule, variant.lambda_schedule)) if s.kind != "constant"
    ]
    about = [routes, *(f"{kind} gate" for kind in gates), *(f"{kind} schedule" for kind in schedules)]
    return "; ".join(about)


def _route(route: Route) -> str:
    if route.kind == "top_k":
        return f"{route.k} likeliest tokens"
    if route.kind in ("heads", "layers"):
        return f"the model without {route.drop:.0%} of its {route.kind}"
    return {"experts": "the model with random experts", "frozen": "a frozen distribution"}.get(
        route.kind, route.kind
    )


def _name(ax: Axes, name: str, variant: Variant, means: str) -> None:
    ax.set_ylabel("q", labelpad=2)
    title = ax.annotate(name, (0, 1), (0, 5), "axes fraction", "offset points", weight="bold", fontsize=10)
    ax.annotate(note(variant, means), (1, 0), (8, 0), title, "offset points", va="bottom", fontsize=SMALL)


def _map(ax: Axes, members: Sequence[CellValues], column: Column, width: float) -> None:
    ys, xs = (sorted({getattr(row, knob) for row in members}) for knob in ("q", "lam"))
    grid = np.full((len(ys), len(xs)), math.nan)
    for row in members:
        grid[ys.index(row.q), xs.index(row.lam)] = row.get(column.metric).value
    colours = colormaps["cividis"].with_extremes(bad="#dddddd")
    ax.imshow(np.ma.masked_invalid(grid), colours, column.norm, aspect="auto", origin="lower")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    names = [f"{x:.3g}" for x in xs]
    _ticks(ax.xaxis, names, int(width / (0.07 * max(map(len, names)) + 0.08)))
    _ticks(ax.yaxis, [f"{y:.3g}" for y in ys], int(PANEL / 0.15))
    if width / len(xs) >= 0.4 and PANEL / len(ys) >= 0.15:  # inches per number
        _numbers(ax, grid, column.norm, colours)


def _ticks(axis: Axis, names: list[str], room: int) -> None:
    """Name every cell, or every second, third, … where there is room for fewer names."""
    shown = range(0, len(names), -(-len(names) // max(room, 1)))
    axis.set_ticks(list(shown), [names[i] for i in shown])


def _numbers(ax: Axes, grid: np.ndarray, norm: Normalize, colours: Any) -> None:
    for (y, x), value in np.ndenumerate(grid):
        missing = math.isnan(value)
        background = np.array((1, 1, 1) if missing else colours(float(norm(value)))[:3])
        # Relative luminance; at 0.18 black and white text have the same contrast (WCAG 2).
        light = (background**2.2) @ (0.2126, 0.7152, 0.0722) > 0.18
        text = "–" if missing else short(value)
        ax.text(x, y, text, ha="center", va="center", fontsize=SMALL, color="black" if light else "white")
