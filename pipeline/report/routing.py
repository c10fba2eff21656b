"""What the routes did: tables of gate rates, recovery and the law's identity, and their figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.checks import PipelineError
from pipeline.report import style
from pipeline.settings import Variant

TABLES = {  # reports/<name>.csv → columns
    "gates": (
        "task", "cell", "variant", "route", "gate", "steps", "opened", "expected", "observed", "lo", "hi",
    ),
    "recovery": ("task", "variant", "lag", "places", "after", "control", "difference", "lo", "hi"),
    "identity": ("task", "variant", "collapses", "r", "cells", "same_bytes", "p_value", "why"),
}  # fmt: skip


def to_csv(records: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    """CSV text; numbers to 6 significant digits, what a record lacks as an empty field, lists with spaces."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for record in records:
        writer.writerow([_text(record.get(name)) for name in columns])
    return out.getvalue()


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return " ".join(value) if isinstance(value, list) else str(value)


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table. Raises `PipelineError` naming it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PipelineError(f"{path} is not there; run the stage summarize first") from None
    reader = csv.DictReader(io.StringIO(text))
    if tuple(reader.fieldnames or ()) != TABLES[path.stem]:
        raise PipelineError(
            f"{path}: has not the columns {', '.join(TABLES[path.stem])}; run summarize again"
        )
    return list(reader)


def draw(
    gates: Sequence[dict[str, str]], recovery: Sequence[dict[str, str]], variants: dict[str, Variant]
) -> Figure:
    """Left: share of steps on a random route over the share by the law. Right: recovery."""
    looks = {name: style.variant_look(name, i) for i, name in enumerate(variants)}
    figure = Figure(figsize=(style.WIDTH, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _gates(left, gates, looks)
    _recovery(right, recovery, looks)
    shown = [name for name in looks if any(record["variant"] == name for record in gates)]
    handles = [
        Line2D([], [], color=looks[name].colour, marker=looks[name].marker, markersize=4, label=name)
        for name in shown
    ]
    hollow = Line2D([], [], color="#777777", marker="o", markersize=4, linestyle="none",
                    markerfacecolor="white", label="λ-route (filled: q-route)")  # fmt: skip
    labels = [*shown, str(hollow.get_label())]
    figure.legend(
        handles=[*handles, hollow], loc="outside lower center", ncols=style.legend_columns(labels, 6)
    )
    return figure


def _gates(ax: Axes, records: Sequence[dict[str, str]], looks: dict[str, style.Look]) -> None:
    for record in records:
        look = looks[record["variant"]]
        expected, observed, low, high = (float(record[n]) for n in ("expected", "observed", "lo", "hi"))
        if expected <= 0:
            continue
        ends = [[(observed - low) / expected], [(high - observed) / expected]]
        ax.errorbar(
            expected, observed / expected, ends, color=look.colour, marker=look.marker, markersize=4,
            markerfacecolor=look.colour if record["route"] == "q" else "white", linewidth=0.8, alpha=0.8,
        )  # fmt: skip
    ax.axhline(1.0, color="black", linewidth=0.8, zorder=1)
    ax.set_xscale("log")
    style.plain_log_ticks(ax.xaxis, *ax.get_xlim())
    ax.set_xlabel("share of steps on a random route, by the law")
    ax.set_title(
        "how often gates opened\nobserved / expected, exact binomial interval", loc="left", fontsize=9
    )


def _recovery(ax: Axes, records: Sequence[dict[str, str]], looks: dict[str, style.Look]) -> None:
    for name, look in looks.items():
        own = [record for record in records if record["variant"] == name]
        if not own:
            continue
        lags, values, low, high = (
            [float(record[column]) for record in own] for column in ("lag", "difference", "lo", "hi")
        )
        ax.fill_between(lags, low, high, color=look.colour, alpha=0.12, linewidth=0)
        ax.plot(lags, values, color=look.colour, marker=look.marker, markersize=4)
    ax.axhline(0.0, color="black", linewidth=0.8, zorder=1)
    ax.set_xscale("log", base=2)
    ax.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    ax.set_xlabel("tokens after a random token")
    ax.set_title(
        "recovery: judge's log-probability of a token\nminus that without routes (nats; 0: recovered)",
        loc="left", fontsize=9,
    )  # fmt: skip
