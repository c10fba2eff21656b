"""What tuning did: the best reward so far of each family of decoders, all with the same budget."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from random_routing.metrics import METRICS
from random_routing.report.figures import style
from random_routing.results.tuned import Tuned

LOOKS = {
    "routing": style.Look("routing", "#D55E00", "o"),
    "scheduled": style.Look("scheduled routing", "#009E73", "D"),
    "temperature": style.Look("temperature", "#000000", "s"),
    "top_p": style.Look("top-p", "#777777", "^"),
}


def draw(tuned: Tuned | None, width: float) -> Figure | None:
    """None where tuning is switched off."""
    if tuned is None:
        return None
    figure, (ax,) = style.panels(width, 1)
    best = max((cell.reward for cell in tuned.grid.rewarded), default=math.nan)
    rewards = []
    for family, of_family in tuned.families.items():
        look = LOOKS[family]
        trials = [(i + 1, t) for i, t in enumerate(of_family.trials) if math.isfinite(t.reward)]
        rewards += [trial.reward for _, trial in trials]
        whole = [(i, trial.reward) for i, trial in trials if trial.state == "complete"]
        stopped = [(i, trial.reward) for i, trial in trials if trial.state != "complete"]
        for points, face in ((whole, look.colour), (stopped, "white")):
            if points:
                ax.plot(*zip(*points, strict=True), look.marker, color=look.colour, markerfacecolor=face)
        if whole:
            x, y = zip(*whole, strict=True)
            ax.step(x, np.maximum.accumulate(y), where="post", color=look.colour, label=look.name)
    if math.isfinite(best):
        ax.axhline(
            best,
            color=style.GREY,
            linestyle=style.DOTTED,
            label=f"best of the grid ({tuned.grid.texts} texts)",
        )
        floor = np.percentile(rewards, 10)
        ax.set_ylim(bottom=min(floor, best) - 0.05 * abs(best - floor))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("trial (hollow: stopped early)")
    ax.set_ylabel(f"reward, from {METRICS[tuned.quality].short or tuned.quality}\n(line: best so far)")
    style.legend(figure, ax.get_legend_handles_labels()[0])
    return figure
