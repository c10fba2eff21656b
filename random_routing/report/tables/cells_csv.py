"""The table of all cells, `reports/cells.csv`: a row per (task, cell)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from random_routing.report.tables.small_tables import GROUPED, about, csv_of
from random_routing.results.measured import Measured
from random_routing.settings import Settings

ABOUT = (
    *GROUPED, "cell", "family", "variant", "q", "lambda", "lambda_means", "r", "setting", "decoder",
    "examples", "samples",
)  # fmt: skip


def to_csv(measured: Iterable[Measured], settings: Settings) -> str:
    """CSV text, see `csv_of`."""
    rows, metrics = [], settings.metrics
    for of_task in measured:
        grouped = about(settings.tasks[of_task.task]).values()
        for cell in of_task.cells:
            means = "" if math.isnan(cell.lam) else settings.lambda_means
            of_cell = (
                *grouped, cell.cell, cell.family, cell.variant, cell.q, cell.lam, means, cell.r, cell.setting,
                cell.decoder, cell.examples, cell.samples,
            )  # fmt: skip
            values = [cell.get(name) for name in metrics]
            rows.append([*of_cell, *(number for v in values for number in (v.value, v.lo, v.hi))])
    return csv_of([*ABOUT, *(f"{name}{end}" for name in metrics for end in ("", "_lo", "_hi"))], rows)
