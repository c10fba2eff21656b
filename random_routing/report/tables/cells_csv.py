"""The table of all cells, `reports/cells.csv`: a row per (task, cell)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from random_routing.report.tables.small_tables import csv_of
from random_routing.results.measured import Measured

ABOUT = (
    "task", "cell", "family", "variant", "q", "lambda", "lambda_means", "r", "setting", "decoder",
    "examples", "samples",
)  # fmt: skip


def to_csv(measured: Iterable[Measured], metrics: Sequence[str], lambda_means: str) -> str:
    """CSV text, see `csv_of`."""
    rows = []
    for of_task in measured:
        for cell in of_task.cells:
            means = "" if math.isnan(cell.lam) else lambda_means
            about = (
                of_task.task, cell.cell, cell.family, cell.variant, cell.q, cell.lam, means, cell.r, cell.setting,
                cell.decoder, cell.examples, cell.samples,
            )  # fmt: skip
            values = [cell.get(name) for name in metrics]
            rows.append([*about, *(number for v in values for number in (v.value, v.lo, v.hi))])
    return csv_of([*ABOUT, *(f"{name}{end}" for name in metrics for end in ("", "_lo", "_hi"))], rows)
