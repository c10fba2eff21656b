"""A data set of any origin as one JSON Lines file: the columns that a task may need, and where each row stood."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from random_routing.errors import PipelineError
from random_routing.files import write_jsonl
from random_routing.settings import FAULT, FIELDS, ORIGIN, Asset

RECORDS = "records.jsonl"
MISSING = object()


def wanted_columns(asset: Asset) -> set[str]:
    """Those that `fields` maps, and under their own names the fields that it does not."""
    return {asset.fields.get(name, name) for name in FIELDS}


def pick(row: Any, column: str) -> Any:
    """The value of `column`: under that exact name, else nested, as `translation.de`; else MISSING."""
    if not isinstance(row, dict):
        return MISSING
    if column in row:
        return row[column]
    head, dot, rest = column.partition(".")
    return pick(row[head], rest) if dot and head in row else MISSING


def write_records(asset: Asset, rows: Iterable[tuple[str, Any]], target: Path) -> None:
    """rows: (where it stands, columns or words that say why it has none). No other column is looked at.

    Raises `PipelineError` for a mapped column that no row has, and for a value such as a date or a picture.
    """
    wanted = sorted(wanted_columns(asset))
    records: list[dict[str, Any]] = []
    names: list[str] = []
    for where, row in rows:
        if isinstance(row, str):
            records.append({ORIGIN: where, FAULT: row})
            continue
        names = names or sorted(map(str, row))
        picked = {column: pick(row, column) for column in wanted}
        kept = {column: value for column, value in picked.items() if value is not MISSING}
        values = {column: plain(value, asset, where, column) for column, value in kept.items()}
        records.append({ORIGIN: where, **values})
    check_columns(asset, records, names)
    write_jsonl(target / RECORDS, records)


def check_columns(asset: Asset, records: list[dict[str, Any]], names: list[str]) -> None:
    """Raises `PipelineError` naming the columns that there are."""
    columns = {column for record in records for column in record}
    shown = names[:20] + ["…"] * (len(names) > 20)
    for field, column in asset.fields.items():
        if names and column not in columns:
            raise PipelineError(
                f"params.yaml: assets.{asset.name}.fields.{field} = {column!r}: no such column; there are {shown}"
            )
    if not columns & wanted_columns(asset):
        causes = {record[FAULT]: record[ORIGIN] for record in reversed(records) if FAULT in record}
        cause = "".join(f", but rows {fault} (first: {where})" for fault, where in causes.items())
        raise PipelineError(
            f"assets.{asset.name}: {asset.sources[0]} has {f'the columns {shown}' if names else 'no records'}{cause}; "
            f"a task needs some of {', '.join(FIELDS)}: map them with `fields` in params.yaml"
        )


def plain(value: Any, asset: Asset, where: str, column: str) -> Any:
    """As JSON holds it; a whole number is its digits, NaN is null. Raises `PipelineError` for what JSON cannot hold."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [plain(item, asset, where, column) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item, asset, where, column) for key, item in value.items()}
    raise PipelineError(
        f"assets.{asset.name}: {where}: column {column!r} holds {type(value).__name__} {str(value)[:40]!r}; "
        "a task's fields are texts, or lists of texts"
    )
