"""The benchmark as one picture: speed of each way, and how cost grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from random_routing.report.figures.style import FULL, looks, save

LABELS = {
    "library": "loop over generate",
    "no_sharing": "this decoder, nothing shared",
    "sharing_routing": "this decoder, routing grid",
    "sharing_all": "this decoder, grid and baselines",
}
AXES = {"cells": "cells", "samples": "samples per prompt", "tokens": "tokens per text"}


def draw(result: dict[str, Any], path: Path) -> None:
    """Delivered tokens per second, and how many rows a token takes as the run grows."""
    with looks():
        figure = Figure(figsize=(1.4 * FULL, 4.2), layout="constrained")
        bars, curves = figure.subplots(1, 2, width_ratios=(1.6, 1))
        _bars(bars, result["runs"])
        _growth(curves, result["growth"])
        save(figure, path)


def _bars(axes: Any, runs: list[dict[str, Any]]) -> None:
    width = 0.2
    for number, (way, label) in enumerate(LABELS.items()):
        heights = [run[way]["tokens_per_second"] for run in runs]
        places = [i + (number - 1.5) * width for i in range(len(runs))]
        drawn = axes.bar(places, heights, width, label=label)
        axes.bar_label(drawn, [f"{height:.0f}" for height in heights], fontsize=8, padding=1)
    axes.set_xticks(range(len(runs)), [f"{run['model']}\n{run['dtype']}" for run in runs])
    axes.set_ylabel("delivered tokens per second")
    axes.margins(y=0.25)
    axes.legend(loc="upper right", fontsize=8)


def _growth(axes: Any, points: list[dict[str, Any]]) -> None:
    place, ticks = 0.0, []
    for number, (axis, label) in enumerate(AXES.items()):
        of_axis = [point for point in points if point["axis"] == axis]
        places = [place + i for i in range(len(of_axis))]
        heights = [point["rows"] / point["tokens"] for point in of_axis]
        drawn = axes.bar(places, heights, 0.8, label=label, color=f"C{number + 4}")
        axes.bar_label(drawn, [f"{height:.2f}" for height in heights], fontsize=8, padding=1)
        ticks += list(zip(places, [str(point["x"]) for point in of_axis], strict=True))
        place = places[-1] + 1.8
    axes.axhline(1, linestyle=":", color="0.4", label="a loop")
    axes.set_xticks([x for x, _ in ticks], [text for _, text in ticks])
    axes.set_ylabel("model rows per delivered token")
    axes.margins(y=0.3)
    axes.legend(fontsize=8, ncols=2)
