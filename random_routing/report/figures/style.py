"""How every figure looks: sizes, colours, markers, and how it is saved.

Figures are 10 inches wide and shown at about 1000 pixels, so 8 points are 11 pixels there. Colours
are Okabe and Ito's, which stay apart for colour-blind readers; markers and line styles repeat them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

WIDTH = 10.0  # inches
DPI = 160
SMALL = 8.0  # points, the smallest text

RC = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.columnspacing": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 5.0,
    "svg.hashsalt": "random routing",  # names of its parts, random otherwise
    "svg.fonttype": "none",  # text stays text
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
    ("#56B4E9", "P"), ("#000000", "X"),
)  # fmt: skip
FAMILY_LOOKS = {
    "greedy": Look("greedy", "#000000", "X"),
    "temperature": Look("temperature T", "#000000", "o", "T="),
    "top_k": Look("top-k", "#CC79A7", "v", "k="),
    "top_p": Look("top-p", "#56B4E9", "^", "p="),
    "min_p": Look("min-p", "#E69F00", "<", "min-p "),
    "typical_p": Look("typical-p", "#009E73", ">", "typ "),
    "eta": Look("η-sampling", "#0072B2", "p", "η="),
    "beam": Look("beam search", "#000000", "P", "beam "),
}
HUMAN = Look("human texts", "#F0E442", "*")


def variant_look(name: str, position: int) -> Look:
    colour, marker = VARIANT_LOOKS[position % len(VARIANT_LOOKS)]
    return Look(name, colour, marker)


def shade(colour: str) -> tuple[float, float, float]:
    """A darker tone, so that text of a light colour can be read on white."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 * 0.75 for i in (1, 3, 5))
    return red, green, blue


def legend_columns(names: Sequence[str], most: int) -> int:
    """How many columns fit into the figure's width. names: in matplotlib's order, down the columns."""
    for columns in range(min(most, len(names)), 1, -1):
        full = -(-len(names) // columns)
        widths = [0.057 * max(map(len, names[i : i + full])) + 0.46 for i in range(0, len(names), full)]
        if sum(widths) < WIDTH:
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
    """A PNG, and an SVG for papers, whose bytes depend on the figure alone (no date, no version).

    path: without its ending.
    """
    figure.savefig(path.with_name(f"{path.name}.png"), format="png", dpi=DPI, metadata={"Software": None})
    nothing = {"Creator": None, "Date": None, "Format": None, "Type": None}
    figure.savefig(path.with_name(f"{path.name}.svg"), format="svg", metadata=nothing)
