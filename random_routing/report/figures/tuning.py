"""What tuning did, as a figure: reward over trials, trials over the q × λ plane, what mattered, the two fronts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from random_routing.metrics import METRICS
from random_routing.report.figures import style
from random_routing.results.tuned import Grid, GridCell, Trial, Tuned

LOOKS = {
    "routing": style.Look("routing", "#D55E00", "o"),
    "scheduled": style.Look("scheduled routing", "#009E73", "D"),
    "temperature": style.Look("temperature", "#000000", "s"),
    "top_p": style.Look("top-p", "#56B4E9", "^"),
}


def draw(tuned: Tuned | None) -> Figure | None:
    """None where tuning is switched off."""
    if tuned is None:
        return None
    figure = Figure(figsize=(style.WIDTH, 7.2), layout="constrained")
    (rewards, plane), (parameters, fronts) = figure.subplots(2, 2)
    trials = {
        name: [trial for trial in family.trials if math.isfinite(trial.reward)]
        for name, family in tuned.families.items()
    }
    _rewards(rewards, trials, tuned.grid)
    _plane(plane, trials["routing"], tuned.grid)
    _importance(parameters, {name: family.importance for name, family in tuned.families.items()})
    _fronts(fronts, trials, tuned)
    return figure


def _rewards(ax: Axes, trials: dict[str, list[Trial]], grid: Grid) -> None:
    """Trials that saw all examples, with the best so far; the grid's best as a line."""
    best = max((cell.reward for cell in grid.rewarded), default=math.nan)
    for family, of_family in trials.items():
        look = LOOKS[family]
        whole = [(i + 1, t.reward) for i, t in enumerate(of_family) if t.state == "complete"]
        stopped = [(i + 1, t.reward) for i, t in enumerate(of_family) if t.state != "complete"]
        for points, face in ((whole, look.colour), (stopped, "white")):
            if points:
                ax.plot(
                    *zip(*points, strict=True),
                    look.marker,
                    color=look.colour,
                    markerfacecolor=face,
                    markersize=4,
                )
        if whole:
            x, y = zip(*whole, strict=True)
            ax.step(
                x, np.maximum.accumulate(y), where="post", color=look.colour, label=look.name, linewidth=1.2
            )
    if math.isfinite(best):
        ax.axhline(
            best, color="#888888", linestyle=(0, (1, 2)), label=f"best of the grid ({grid.texts} texts)"
        )
        floor = np.percentile([t.reward for of_family in trials.values() for t in of_family], 10)
        ax.set_ylim(bottom=min(floor, best) - 0.05 * abs(best - floor))
    ax.set_xlabel("trial (hollow: stopped early)")
    ax.set_title("reward, line: best so far", loc="left", fontsize=9)
    ax.legend(fontsize=style.SMALL)


def _plane(ax: Axes, trials: Sequence[Trial], grid: Grid) -> None:
    """Squares: cells of the grid; circles: trials; colour: reward."""
    routed = [cell for cell in grid.rewarded if math.isfinite(cell.q)]
    rewards = [cell.reward for cell in routed] + [trial.reward for trial in trials]
    norm = Normalize(float(np.percentile(rewards, 20)), max(rewards))
    groups: tuple[tuple[Sequence[GridCell | Trial], str, int], ...] = ((routed, "s", 90), (trials, "o", 34))
    for group, marker, size in groups:
        ax.scatter(
            [point.weight for point in group], [point.q for point in group], s=size, marker=marker, cmap="cividis",
            c=[point.reward for point in group], norm=norm, edgecolors="white" if marker == "s" else "black",
            linewidths=0.6, zorder=2 if marker == "s" else 3,
        )  # fmt: skip
    ax.set_xscale("symlog", linthresh=0.003, linscale=0.6)
    ax.set_yscale("symlog", linthresh=0.003, linscale=0.6)
    ax.set_xlim(-0.0008, 1.3)
    ax.set_ylim(-0.0008, 1.3)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(FixedLocator([0, 0.01, 0.03, 0.1, 0.3, 1]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:g}")
    ax.set_xlabel("λ, weight of the random route")
    ax.set_ylabel("q")
    ax.set_title("squares: the grid, circles: trials; colour: reward", loc="left", fontsize=9)
    figure: Any = ax.get_figure(root=True)
    figure.colorbar(ScalarMappable(norm, "cividis"), ax=ax, shrink=0.9)


def _importance(ax: Axes, importance: dict[str, dict[str, float]]) -> None:
    bars = [(f"{name.removeprefix('place of ')}  ({family})", value, LOOKS[family].colour)
            for family, shares in importance.items() if len(shares) > 1 for name, value in shares.items()]  # fmt: skip
    ax.set_title("importance of the parameters (PED-ANOVA)", loc="left", fontsize=9)
    if not bars:
        ax.text(0.5, 0.5, "too few trials, or one parameter alone", ha="center", transform=ax.transAxes)
        ax.set_axis_off()
        return
    names, values, colours = zip(*bars[::-1], strict=True)
    ax.barh(names, values, color=colours)
    ax.set_xlabel("share of the reward's variance")


def _fronts(ax: Axes, trials: dict[str, list[Trial]], tuned: Tuned) -> None:
    """Quality and diversity of all trials that saw all examples, and the front of each family."""
    for family, of_family in trials.items():
        look = LOOKS[family]
        points = np.array(
            [[t.diversity, t.quality] for t in of_family if t.state == "complete"], dtype=float
        )
        if not len(points):
            continue
        best = [p for p in points if not ((points >= p).all(1) & (points > p).any(1)).any()]
        ax.plot(points[:, 0], points[:, 1], look.marker, color=look.colour, markersize=4, alpha=0.5)
        ax.plot(*np.array(sorted(map(tuple, best))).T, color=look.colour, linewidth=1.2, label=look.name)
    ax.set_xlabel(METRICS[tuned.diversity].axis)
    ax.set_ylabel(f"up is better\n{METRICS[tuned.quality].axis}")
    ax.set_title("the front of each family", loc="left", fontsize=9)
    ax.legend(fontsize=style.SMALL)
