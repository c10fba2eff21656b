"""The smaller tables in `reports/`, a record a row: written and read here alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from random_routing.errors import PipelineError


@dataclass(frozen=True)
class Table:
    """records(contents of `data/metrics/<task>.json`): its rows of a task, without the task."""

    columns: tuple[str, ...]
    records: Callable[[dict[str, Any]], list[dict[str, Any]]]


TABLES = {  # reports/<name>.csv
    "gates": Table(
        ("task", "cell", "variant", "route", "gate", "steps", "opened", "expected", "observed", "lo", "hi"),
        lambda found: found["gates"],
    ),
    "recovery": Table(
        ("task", "variant", "lag", "events", "after", "control", "difference", "lo", "hi"),
        lambda found: found["recovery"],
    ),
    "identity": Table(
        ("task", "variant", "collapses", "r", "cells", "same_bytes", "p_value", "why"),
        lambda found: found["identity"],
    ),
    "matched": Table(
        ("task", "cell", "curve", "quality", "difference", "lo", "hi", "p", "p_adjusted", "missing"),
        lambda found: [
            {"quality": found["comparison"]["quality"], **record}
            for record in found["comparison"]["matched"]
        ],
    ),
    "against_base": Table(
        ("task", "cell", "metric", "difference", "lo", "hi", "p", "p_adjusted"),
        lambda found: found["comparison"]["against_base"],
    ),
    "front": Table(
        ("task", "cell", "family", "on_front", "share", "on_family_front", "family_share"),
        lambda found: found["comparison"]["front"],
    ),
    "hypervolume": Table(
        ("task", "family", "value", "lo", "hi", "ratio", "ratio_lo", "ratio_hi"),
        lambda found: found["comparison"]["hypervolume"],
    ),
    "likelihood": Table(
        ("task", "variant", "route", "r", "value", "lo", "hi"),
        lambda found: [
            {"variant": record["variant"], "route": record["route"], **point}
            for record in found["likelihood"]
            for point in record["curve"]
        ],
    ),
    "metrics": Table(
        ("task", "metric", "label", "unit", "better", "needs", "source", "signature"),
        lambda found: [{"metric": name, **about} for name, about in found["metrics"].items()],
    ),
    "tune": Table(
        (
            "task",
            "family",
            "trials",
            "ended",
            "variant",
            "q",
            "lambda",
            "setting",
            "split",
            "examples",
            "quality",
            "diversity",
            "reward",
            "lo",
            "hi",
        ),
        lambda found: tuned(found["tune"]),
    ),
    "missing": Table(
        ("task", "metric", "cells", "of", "first", "missing"), lambda found: missing(found["cells"])
    ),
}


def missing(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Values that are missing, a record a metric and reason: in how many of all cells, and in which first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        for metric, found in cell["metrics"].items():
            if "missing" in found:
                groups.setdefault((metric, found["missing"]), []).append(cell["cell"])
    return [
        {"metric": metric, "cells": len(names), "of": len(cells), "first": names[0], "missing": reason}
        for (metric, reason), names in groups.items()
    ]


def tuned(found: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The winner of each family on the examples that chose it and on the others. None: tuning is switched off."""
    if found is None:
        return []
    records = []
    for family, own in found["families"].items():
        cell = own["winner"]["cell"]
        for split in ("tune", "test"):
            records.append({
                "family": family, "trials": len(own["trials"]), "ended": own["ended"],
                "variant": cell["variant"], "q": cell["q"], "lambda": cell["lam"], "setting": cell["setting"],
                "split": split, "examples": len(found["split"][split]), **own["winner"][split],
            })  # fmt: skip
    return records


def records_to_csv(records: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
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


def read_records(path: Path) -> list[dict[str, str]]:
    """The rows of a table. Raises `PipelineError` naming it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PipelineError(f"{path} is not there; run the stage summarize first") from None
    reader = csv.DictReader(io.StringIO(text))
    columns = TABLES[path.stem].columns
    if tuple(reader.fieldnames or ()) != columns:
        raise PipelineError(f"{path}: has not the columns {', '.join(columns)}; run summarize again")
    return list(reader)
