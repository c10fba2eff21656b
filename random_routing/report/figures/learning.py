"""Return over episodes; of bandits average reward and share of the best arm (Sutton & Barto, figure 2.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from random_routing.report.figures import style
from random_routing.report.tables.learning import described, name_of
from random_routing.results.learned import Outcomes, Point
from random_routing.settings import Learning, Settings

STYLES = ("-", style.DOTTED, (0, (4, 1.5)))  # of an explorer's rates, the greatest first
SETTLED = 0.2  # of the curve, from where it decides how far down the axis goes


def draw(outcomes: Outcomes, settings: Settings, width: float) -> Figure:
    entry = settings.learning[outcomes.entry]
    looks = looks_of(outcomes, settings)
    figure, axes = style.panels(width, 2 if entry.bandit else 1)
    if entry.bandit:
        _curves(axes[0], outcomes, looks, lambda point: point.mean)
        axes[0].set_ylabel("reward, mean over the bandits")
        _curves(axes[1], outcomes, looks, lambda point: 100 * point.optimal)
        axes[1].set_ylabel("pulls of the best arm (%)")
    else:
        _curves(axes[0], outcomes, looks, lambda point: point.iqm, band=True)
        axes[0].set_ylabel("return of an episode,\ninterquartile mean")
        axes[0].set_ylim(*limits(outcomes))
    for ax in axes:
        ax.set_xlabel("step" if entry.bandit else "episode")
    style.legend(figure, axes[0].get_legend_handles_labels()[0])
    return figure


def looks_of(outcomes: Outcomes, settings: Settings) -> dict[str, dict[str, Any]]:
    """Name of an agent → colour and line. Agents that never act at random are one, in grey; temperatures are black."""
    found: dict[str, dict[str, Any]] = {}
    for agent in sorted(outcomes.agents, key=lambda agent: -np.nan_to_num(agent.r)):
        name = name_of(agent)
        same = sum(other.startswith(name.split(",")[0] + ",") for other in found)
        colour = "#000000" if agent.family == "temperature" else style.GREY
        if name.startswith(agent.variant.replace("epsilon", "ε")) and agent.variant:
            colour = style.variant_look(name, list(settings.explorers).index(agent.variant)).colour
        found.setdefault(name, {"color": colour, "linestyle": STYLES[same % len(STYLES)]})
    return {name_of(agent): found[name_of(agent)] for agent in outcomes.agents}


def limits(outcomes: Outcomes) -> tuple[float, float]:
    """Of the returns: all of those after the first episodes, which may be far below."""
    low = [p.lo for agent in outcomes.agents for p in agent.curve[int(SETTLED * len(agent.curve)) :]]
    high = [point.hi for agent in outcomes.agents for point in agent.curve]
    room = 0.05 * (max(high) - min(low))
    return min(low) - room, max(high) + room


def _curves(
    ax: Axes,
    outcomes: Outcomes,
    looks: Mapping[str, dict[str, Any]],
    value: Callable[[Point], float],
    band: bool = False,
) -> None:
    drawn = set[str]()
    for agent in outcomes.agents:
        name = name_of(agent)
        if name in drawn:
            continue
        drawn.add(name)
        units = [point.unit for point in agent.curve]
        ax.plot(units, [value(point) for point in agent.curve], label=name, **looks[name])
        if band:
            low, high = [point.lo for point in agent.curve], [point.hi for point in agent.curve]
            ax.fill_between(units, low, high, color=looks[name]["color"], alpha=0.12, linewidth=0)


def caption(entry: Learning, confidence: float) -> str:
    what = (
        "Average reward, and share of pulls of the best arm, over steps (ten at a time)"
        if entry.bandit
        else f"Return over episodes while exploring, interquartile mean of the runs with {confidence:.0%} intervals"
    )
    return f"{what}. {described(entry)}."
