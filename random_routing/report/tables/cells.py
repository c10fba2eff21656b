"""The table of all cells, `reports/cells.csv`: a row per (task, cell), written and read here alone."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from random_routing.errors import PipelineError

ABOUT = (
    "task", "cell", "family", "variant", "q", "lambda", "lambda_means", "r", "setting", "decoder",
    "examples", "samples",
)  # fmt: skip


@dataclass(frozen=True)
class Value:
    """A metric with its confidence interval; NaN where missing."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Row:
    """A cell of a task. q, lam, r, setting: NaN where they have no meaning."""

    task: str
    cell: str
    family: str
    variant: str
    q: float
    lam: float
    lambda_means: str  # empty where λ has no meaning
    r: float
    setting: float
    decoder: str
    examples: int
    samples: int
    metrics: dict[str, Value] = field(default_factory=dict)

    def get(self, metric: str) -> Value:
        return self.metrics.get(metric, Value())


def rows_of(measured: dict[str, Any], lambda_means: str) -> list[Row]:
    """Rows of a task from the contents of `data/metrics/<task>.json`, in its order."""
    return [_row(measured["task"], cell, lambda_means) for cell in measured["cells"]]


def _row(task: str, cell: dict[str, Any], lambda_means: str) -> Row:
    return Row(
        task=task,
        cell=cell["cell"],
        family=cell["family"],
        variant=cell["variant"],
        q=_float(cell["q"]),
        lam=_float(cell["lambda"]),
        lambda_means="" if cell["lambda"] is None else lambda_means,
        r=_float(cell["r"]),
        setting=_float(cell["setting"]),
        decoder=cell["decoder"],
        examples=cell["examples"],
        samples=cell["samples"],
        metrics={
            name: Value(_float(m["value"]), _float(m["lo"]), _float(m["hi"]))
            for name, m in cell["metrics"].items()
        },
    )


def _float(value: float | str | None) -> float:
    return math.nan if value is None or value == "" else float(value)


def to_csv(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    """CSV text, numbers to 6 significant digits, missing ones as empty fields."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*ABOUT, *(f"{name}{end}" for name in metrics for end in ("", "_lo", "_hi"))])
    for row in rows:
        about = (
            row.task, row.cell, row.family, row.variant, _text(row.q), _text(row.lam),
            row.lambda_means, _text(row.r), _text(row.setting), row.decoder, row.examples, row.samples,
        )  # fmt: skip
        values = [row.get(name) for name in metrics]
        writer.writerow([*about, *(_text(x) for v in values for x in (v.value, v.low, v.high))])
    return out.getvalue()


def _text(number: float) -> str:
    return "" if math.isnan(number) else f"{number:.6g}"


def from_csv(text: str, path: str) -> list[Row]:
    """The rows that `to_csv` wrote. Raises `PipelineError` that names `path`."""
    reader = csv.DictReader(io.StringIO(text))
    columns = list(reader.fieldnames or ())
    if missing := [name for name in ABOUT if name not in columns]:
        raise PipelineError(f"{path}: has no column {missing[0]}; run the stage summarize again")
    metrics = [name for name in columns if f"{name}_lo" in columns]
    try:
        return [_read(record, metrics) for record in reader]
    except (ValueError, TypeError) as error:  # a field that is no number, or a short line
        raise PipelineError(f"{path}, line {reader.line_num}: {error}") from None


def _read(record: dict[str, str], metrics: Sequence[str]) -> Row:
    ends = ("", "_lo", "_hi")
    return Row(
        task=record["task"],
        cell=record["cell"],
        family=record["family"],
        variant=record["variant"],
        q=_float(record["q"]),
        lam=_float(record["lambda"]),
        lambda_means=record["lambda_means"],
        r=_float(record["r"]),
        setting=_float(record["setting"]),
        decoder=record["decoder"],
        examples=int(record["examples"]),
        samples=int(record["samples"]),
        metrics={name: Value(*(_float(record[f"{name}{end}"]) for end in ends)) for name in metrics},
    )
