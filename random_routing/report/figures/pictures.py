"""Images that decoders write: the same prompts and the same noise along r and along the temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from random_routing.files import read_jsonl
from random_routing.law.origin import Origin
from random_routing.report import selection
from random_routing.report.figures import style
from random_routing.results.measured import CellValues, Measured
from random_routing.runs.cell_files import read_batches
from random_routing.settings import Settings
from random_routing.tasks.digits import CLASSES, LEVELS, SIDE, read_image

STEP = SIDE + 2  # pixels from one image to the next
COLUMNS = ("text", "routes")
FRAME = style.VARIANT_LOOKS[0][0]


@dataclass(frozen=True)
class Strip:
    """A row of images (N, 8, 8), and which of their pixels are random."""

    name: str
    images: np.ndarray
    random: np.ndarray


def draw(measured: Measured, settings: Settings, width: float) -> Figure | None:
    """A panel along r and one along T, a column for each digit, real images on top. None without decoders of either."""
    task, rows = settings.tasks[measured.task], measured.cells
    prepared = read_jsonl(f"data/prepared/{task.name}.jsonl")[:CLASSES]
    first = np.stack([read_image(row["references"][0]) for row in prepared]).reshape(-1, SIDE, SIDE)
    real = Strip("real", first, np.zeros(first.shape, dtype=bool))
    folder = Path("data/generations") / task.name
    panels = {
        title: [real, *(_strip(folder, name, row, len(prepared), task.samples) for name, row in of_panel)]
        for title, of_panel in _panels(rows, settings).items()
        if of_panel
    }
    if not panels:
        return None
    beside = width >= style.FULL
    tallest = (
        max(map(len, panels.values())) if beside else sum(len(strips) + 0.8 for strips in panels.values())
    )
    cell = (width / len(panels) if beside else width) / (len(prepared) + 2.2)
    figure = Figure(figsize=(width, cell * tallest + 0.3), layout="constrained")
    shape = (1, len(panels)) if beside else (len(panels), 1)
    heights = None if beside else [len(strips) + 0.8 for strips in panels.values()]
    axes = figure.subplots(*shape, squeeze=False, height_ratios=heights).flat
    for ax, (title, strips) in zip(axes, panels.items(), strict=True):
        _panel(ax, title, strips)
    return figure


def _panels(rows: Sequence[CellValues], settings: Settings) -> dict[str, list[tuple[str, CellValues]]]:
    """Title → name and row of each strip: the first variant where only r counts, and the temperatures."""
    found: dict[str, list[tuple[str, CellValues]]] = {}
    for name, members in selection.variants_in(rows).items():
        line = selection.lines(members, settings.variants[name], settings.lambda_means)[0].rows
        if settings.variants[name].collapses and len(line) > 1:
            found[f"random pixels ({name})"] = [(f"r = {row.r:g}", row) for row in line]
            break
    heats = selection.baselines_in(rows).get("temperature", [])
    return found | {"temperature": [(f"T = {row.setting:g}", row) for row in heats]}


def _strip(folder: Path, name: str, row: CellValues, examples: int, samples: int) -> Strip:
    """The first image of each of the first examples."""
    batches = read_batches(folder / f"{row.decoder}.parquet", COLUMNS, examples * samples)
    records = next(batches).to_pylist()[::samples][:examples]
    images = np.stack([read_image(record["text"]) for record in records])
    random = np.array([record["routes"] for record in records]) != Origin.MODEL
    return Strip(name, images.reshape(-1, SIDE, SIDE), random.reshape(-1, SIDE, SIDE))


def _panel(ax: Axes, title: str, strips: Sequence[Strip]) -> None:
    columns = len(strips[0].images)
    sheet = np.full((STEP * len(strips), STEP * columns), np.nan)  # a pixel around each
    for i, strip in enumerate(strips):
        for j, (image, random) in enumerate(zip(strip.images, strip.random, strict=True)):
            top, left = STEP * i + 1, STEP * j + 1
            sheet[top : top + SIDE, left : left + SIDE] = image
            _border(ax, top, left, SIDE, color="#bbbbbb", linewidth=0.4)
            for y, x in np.argwhere(random):
                _border(ax, top + int(y), left + int(x), 1, color=FRAME, linewidth=0.5)
    ax.imshow(sheet, cmap="gray_r", vmin=0, vmax=LEVELS - 1, interpolation="nearest")
    ax.set_title(title)
    ax.set_anchor("N")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.set_xticks([])
    middle = (STEP - 1) / 2
    ax.set_yticks([STEP * i + middle for i in range(len(strips))], [strip.name for strip in strips])
    ax.tick_params(length=0)


def _border(ax: Axes, top: int, left: int, size: int, **look: Any) -> None:
    ax.add_patch(Rectangle((left - 0.5, top - 0.5), size, size, fill=False, **look))
