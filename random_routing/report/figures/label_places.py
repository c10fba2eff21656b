"""Placing text beside points so that it covers neither other text nor, if possible, points and lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from random_routing.report.figures.style import SMALL

DISTANCES = (6, 10, 15)  # points from the data point to the nearest edge of its label
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
TOO_CROWDED = 5  # covered points (a line counts a fraction) at which a label is left out


@dataclass(frozen=True)
class Label:
    x: float  # data units
    y: float
    text: str
    colour: Any


def place(ax: Axes, labels: Sequence[Label], points: np.ndarray, along: np.ndarray) -> None:
    """Draw the labels that find room, the first ones first.

    points: (P, 2) data units, the markers. along: (L, 2), points along the lines.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = figure.dpi / 72  # per point
    frame = ax.get_window_extent()
    marks, line = (_pixels(ax, part) for part in (points, along))
    taken: list[Bbox] = []
    for label in labels:
        anchor = _pixels(ax, np.array([[label.x, label.y]]))[0]
        text = ax.text(0, 0, label.text, fontsize=SMALL, color=label.colour, transform=None)
        size = text.get_window_extent(canvas.get_renderer())
        best: tuple[float, Bbox] | None = None
        for step, distance in enumerate(DISTANCES):
            for turn, direction in enumerate(DIRECTIONS):
                box = _box(anchor, direction, distance * pixels, size.width, size.height)
                if _outside(box, frame) or any(box.overlaps(other) for other in taken):
                    continue
                near = box.padded(2 * pixels)
                cost = _inside(near, marks) + 0.25 * _inside(box, line) + 0.4 * step + 0.01 * turn
                if best is None or cost < best[0]:
                    best = (cost, box)
        if best is None or best[0] >= TOO_CROWDED:
            text.remove()
            continue
        taken.append(best[1])
        _put(text, best[1], pixels)


def _put(text: Any, box: Bbox, pixels: float) -> None:
    """Move the text to its box: in points of the figure, so that the saved resolution may differ."""
    figure = text.get_figure(root=True)
    text.set_transform(figure.dpi_scale_trans)
    text.set_position((box.x0 / pixels / 72, box.y0 / pixels / 72))
    text.set_verticalalignment("bottom")
    text.set_path_effects([withStroke(linewidth=2.0, foreground="white")])
    text.set_zorder(6)


def _pixels(ax: Axes, data: np.ndarray) -> np.ndarray:
    return np.asarray(ax.transData.transform(data)) if len(data) else np.empty((0, 2))


def _box(at: np.ndarray, direction: tuple[int, int], gap: float, width: float, height: float) -> Bbox:
    """The label's box on the given side of the point; diagonal sides are as far away as straight ones."""
    gap = gap * 0.6 if all(direction) else gap
    x = at[0] + direction[0] * (gap + width / 2) - width / 2
    y = at[1] + direction[1] * (gap + height / 2) - height / 2
    return Bbox.from_bounds(x, y, width, height)


def _outside(box: Bbox, frame: Bbox) -> bool:
    return box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1


def _inside(box: Bbox, pixels: np.ndarray) -> int:
    x, y = pixels[:, 0], pixels[:, 1]
    return int(np.sum((x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1)))
