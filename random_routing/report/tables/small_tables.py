"""The smaller tables in `reports/`, a row per record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from random_routing.report.input import Results
from random_routing.results.compared import Compared
from random_routing.results.json_form import to_json
from random_routing.results.measured import CellValues
from random_routing.results.pooled import Pooled
from random_routing.results.tuned import Tuned
from random_routing.settings import Task

GROUPED = ("task", "kind", "model", "seed")  # what rows of several tasks are told apart and grouped by


@dataclass(frozen=True)
class Table:
    """rows(results of a task): dataclasses and mappings, without the task; pooled(comparison): of tasks together."""

    columns: tuple[str, ...]
    rows: Callable[[Results], Iterable[Any]]
    pooled: Callable[[Compared], Iterable[Any]] = lambda compared: ()


@dataclass(frozen=True)
class Missing:
    """Values of a metric that are missing for one reason: in how many of all cells, and in which first."""

    metric: str
    cells: int
    of: int
    first: str
    missing: str


TABLES = {  # reports/<name>.csv
    "gates": Table(
        ("task", "cell", "variant", "route", "gate", "steps", "opened", "expected", "observed", "lo", "hi"),
        lambda results: results.measured.gates,
    ),
    "recovery": Table(
        ("task", "variant", "lag", "events", "places", "after", "control", "difference", "lo", "hi"),
        lambda results: results.measured.recovery,
    ),
    "identity": Table(
        ("task", "variant", "collapses", "r", "cells", "same_bytes", "p_value", "why"),
        lambda results: results.measured.identity,
    ),
    "contrasts": Table(
        (
            *GROUPED, "contrast", "family", "against", "cells", "of", "estimate", "lo", "hi", "p", "p_adjusted",
            "delta", "verdict", "detectable", "needed", "prompts", "texts", "error", "variance", "veto", "missing",
        ),
        lambda results: [
            {"family": record.variant, **to_json(record)} for record in results.measured.comparison.contrasts
        ],
        lambda compared: [{"family": record.variant, **to_json(record)} for record in compared.contrasts],
    ),
    "axes": Table(
        (*GROUPED, "contrast", "against", "diversity", "quality", "cells", "estimate", "lo", "hi", "p"),
        lambda results: results.measured.comparison.axes,
        lambda compared: compared.axes,
    ),
    "matched": Table(
        ("task", "cell", "curve", "quality", "difference", "lo", "hi", "p", "p_adjusted", "missing"),
        lambda results: [
            {"quality": results.measured.comparison.quality, **to_json(record)}
            for record in results.measured.comparison.matched
        ],
    ),
    "against_base": Table(
        ("task", "cell", "metric", "difference", "lo", "hi", "p", "p_adjusted"),
        lambda results: results.measured.comparison.against_base,
    ),
    "front": Table(
        ("task", "cell", "family", "on_front", "share", "on_family_front", "family_share"),
        lambda results: results.measured.comparison.front,
    ),
    "likelihood": Table(
        ("task", "variant", "route", "r", "value", "lo", "hi", "difference", "difference_lo", "difference_hi",
         "unit"),
        lambda results: [
            {"variant": likelihood.variant, "route": likelihood.route, "unit": likelihood.unit, **to_json(point)}
            for likelihood in results.measured.likelihood
            for point in likelihood.curve
        ],
    ),
    "metrics": Table(
        ("task", "metric", "label", "unit", "better", "needs", "source", "signature"),
        lambda results: [
            {"metric": name, **to_json(about)} for name, about in results.measured.metrics.items()
        ],
    ),
    "tune": Table(
        (
            "task", "family", "trials", "ended", "variant", "q", "weight", "setting", "split", "examples", "quality",
            "diversity", "reward", "lo", "hi",
        ),
        lambda results: winners(results.tuned),
    ),
    "missing": Table(
        ("task", "metric", "cells", "of", "first", "missing"),
        lambda results: missing(results.measured.cells),
    ),
}  # fmt: skip


def missing(cells: Sequence[CellValues]) -> list[Missing]:
    """A record per metric and reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        for metric, value in cell.metrics.items():
            if value.missing:
                groups.setdefault((metric, value.missing), []).append(cell.cell)
    return [
        Missing(metric, len(names), len(cells), names[0], reason)
        for (metric, reason), names in groups.items()
    ]


def winners(tuned: Tuned | None) -> list[dict[str, Any]]:
    """The winner of each family on the examples that chose it and on the others. None: tuning is switched off."""
    if tuned is None:
        return []
    records = []
    for name, family in tuned.families.items():
        best = family.winner
        about = {
            "family": name, "trials": len(family.trials), "ended": family.ended, "variant": best.variant,
            "q": best.q, "weight": best.weight, "setting": best.setting,
        }  # fmt: skip
        splits = (("tune", tuned.split.tune, best.tune), ("test", tuned.split.test, best.test))
        for split, examples, score in splits:
            records.append({**about, "split": split, "examples": len(examples), **to_json(score)})
    return records


def about(task: Task) -> dict[str, Any]:
    """`GROUPED` of a task."""
    return {"task": task.name, "kind": task.kind, "model": task.model, "seed": task.seed}


def table_to_csv(
    table: Table, results: Mapping[str, Results], tasks: Mapping[str, Task], together: Sequence[Pooled] = ()
) -> str:
    """CSV text of all tasks, and of those whose texts were taken together, see `csv_of`; what a row lacks is an empty
    field.
    """
    fields = [
        {**about(tasks[name]), **to_json(row)}
        for name, of_task in results.items()
        for row in table.rows(of_task)
    ]
    for group in together:
        seeds = [str(tasks[name].seed) for name in group.tasks]
        of_group = {**about(tasks[group.tasks[0]]), "task": group.name, "seed": seeds}
        fields += [{**of_group, **to_json(row)} for row in table.pooled(group.compared)]
    return csv_of(table.columns, [[row.get(name) for name in table.columns] for row in fields])


def csv_of(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """CSV text: numbers to 6 significant digits, missing ones as empty fields, lists with spaces."""
    return str(pd.DataFrame(rows, columns=columns, dtype=object).map(text).to_csv(index=False))


def text(value: Any) -> str:
    """A field of a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return " ".join(value) if isinstance(value, list) else str(value)
