"""How every figure looks: sizes, colours, markers, and how it is saved.

A figure is drawn for the column or the page of a paper, at its own size, with text of 8 points and more. Today's
decoders are black and grey, decoders with random routes have Okabe and Ito's colours, which stay apart for
colour-blind readers; markers and line styles repeat them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from random_routing.settings import Settings

COLUMN, FULL = 3.4, 7.0  # inches
WIDTHS = {"column": COLUMN, "full": FULL}
DPI = 200
SMALL = 8.0  # points, of all text
LINE = 0.17  # inches, of a legend
GREY = "#777777"
DOTTED: Any = (0, (1, 1.5))

RC = {
    "font.size": SMALL,
    "axes.titlesize": SMALL,
    "axes.labelsize": SMALL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.columnspacing": 1.2,
    "legend.handlelength": 1.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e8e8e8",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 4.0,
    "svg.hashsalt": "random routing",  # names of its parts, random otherwise
    "svg.fonttype": "none",  # text stays text
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class Look:
    """name: what the legend says. letter: what stands before a setting."""

    name: str
    colour: str
    marker: str
    letter: str = ""


VARIANT_LOOKS = (
    ("#D55E00", "o"), ("#0072B2", "s"), ("#009E73", "D"), ("#CC79A7", "^"), ("#E69F00", "v"),
    ("#56B4E9", "P"), ("#8B5A2B", "X"),
)  # fmt: skip
FAMILY_LOOKS = {
    "greedy": Look("greedy", "#000000", "X"),
    "temperature": Look("temperature", "#000000", "o", "T="),
    "top_k": Look("top-k", "#777777", "v", "k="),
    "top_p": Look("top-p", "#777777", "^", "p="),
    "min_p": Look("min-p", "#777777", "<", "min-p "),
    "typical_p": Look("typical-p", "#777777", ">", "typ "),
    "eta": Look("η-sampling", "#777777", "p", "η="),
    "annealing": Look("annealing", "#777777", "d", "T="),
    "beam": Look("beam search", "#777777", "P", "beams="),
    "vader": Look("VADER", "#56B4E9", "P"),
}
HUMAN = Look("human texts", "#F0E442", "*")


def variant_look(name: str, position: int) -> Look:
    """More variants than colours share a colour, with another marker."""
    count = len(VARIANT_LOOKS)
    colour, marker = (
        VARIANT_LOOKS[position % count][0],
        VARIANT_LOOKS[(position + position // count) % count][1],
    )
    return Look(name, colour, marker)


def shade(colour: str) -> tuple[float, float, float]:
    """A darker tone, so that text of a light colour can be read on white."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 * 0.75 for i in (1, 3, 5))
    return red, green, blue


def panels(width: float, count: int, height: float = 2.6) -> tuple[Figure, list[Axes]]:
    """Beside each other on a page, below each other in a column. height: of each, inches."""
    beside = count if width >= FULL else 1
    figure = Figure(figsize=(width, height * (count // beside)), layout="constrained")
    return figure, list(figure.subplots(count // beside, beside, squeeze=False).flat)


def looks_of(settings: Settings, task: str) -> dict[str, Look]:
    """Variant of a task → its look, the same in all figures of the task."""
    variants = settings.variants_of(settings.tasks[task])
    return {name: variant_look(name, i) for i, name in enumerate(variants)}


def legend(figure: Figure, handles: Sequence[Any]) -> None:
    """Below all panels, in as many columns as fit; the figure grows by its height."""
    columns = legend_columns([str(handle.get_label()) for handle in handles], figure.get_figwidth())
    figure.set_figheight(figure.get_figheight() + LINE * -(-len(handles) // columns))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def legend_columns(names: Sequence[str], width: float) -> int:
    """How many columns fit into `width` inches. names: in matplotlib's order, down the columns."""
    for columns in range(len(names), 1, -1):
        parts = np.array_split(np.array([len(name) for name in names]), columns)  # as matplotlib fills them
        if sum(0.065 * int(part.max()) + 0.5 for part in parts) < width:
            return columns
    return 1


def plain_log_ticks(axis: Axis, low: float, high: float) -> None:
    """Perplexities as 20, 50, 100 on a logarithmic axis from low to high, not as powers of ten."""
    span = high / low
    steps = (1.0,) if span > 3000 else (1.0, 3.0) if span > 50 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}"))
    axis.set_minor_locator(NullLocator())


@contextmanager
def looks() -> Iterator[None]:
    """The same look on every machine, whatever the person's own matplotlibrc says."""
    with matplotlib.style.context(["default", RC]):
        yield


def save(figure: Figure, path: Path) -> None:
    """With bytes that depend on the figure alone (no date, no version). path: .png, .svg or .pdf."""
    names = {
        "png": ("Software",),
        "svg": ("Creator", "Date", "Format", "Type"),
        "pdf": ("Creator", "Producer", "CreationDate"),
    }
    kind = path.suffix[1:]
    if figure.get_layout_engine() is not None:  # it would settle again for each file
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    figure.savefig(path, format=kind, dpi=DPI, metadata=dict.fromkeys(names[kind]))
