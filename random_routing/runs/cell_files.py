"""A cell's Parquet file: a row per text, the cell's settings in the metadata.

Written and read in batches, so that a cell may have more texts than memory holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from random_routing.errors import PipelineError, short
from random_routing.parquet_files import parquet_reader, parquet_writer

SCHEMA = pa.schema(
    [
        ("example_id", pa.string()),
        ("sample", pa.int32()),
        ("text", pa.string()),
        ("token_ids", pa.list_(pa.int32())),
        ("routes", pa.list_(pa.int8())),
        ("logprobs", pa.list_(pa.float32())),
        ("model_logprobs", pa.list_(pa.float32())),
        ("ranks", pa.list_(pa.int32())),
        ("entropies", pa.list_(pa.float32())),
        ("finish", pa.string()),
    ]
)


def write_cell(path: Path, batches: Iterable[Sequence[dict[str, Any]]], metadata: dict[str, Any]) -> None:
    """batches: of dictionaries with SCHEMA's fields, each a row group of the file and in memory by itself.

    metadata: JSON, stored under the key `cell`.
    """
    schema = SCHEMA.with_metadata({"cell": json.dumps(metadata, sort_keys=True)})
    with parquet_writer(path, schema) as writer:
        for rows in batches:
            writer.write_table(pa.Table.from_pylist(list(rows), schema=schema))


def read_cell(path: Path, columns: Sequence[str] | None = None) -> tuple[pa.Table, dict[str, Any]]:
    """Table, of some columns or of all, and metadata.

    Raises `PipelineError` naming the file when it is missing or damaged.
    """
    with _opened(path) as file:
        return file.read(columns), json.loads(file.schema_arrow.metadata[b"cell"])


def read_batches(path: Path, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    """The rows of some columns in order, at most `size` at a time. Raises as `read_cell` does."""
    with _opened(path) as file:
        yield from file.iter_batches(size, columns=columns)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Errors while the file is open name it; those of whoever takes a batch do not pass through here."""
    try:
        with parquet_reader(path) as file:
            if b"cell" not in (file.schema_arrow.metadata or {}):
                raise ValueError("no metadata")
            names = file.schema_arrow.names
            if file.schema_arrow.remove_metadata() != SCHEMA:
                raise PipelineError(f"{path}: has columns {names}, or other types than {SCHEMA.names}")
            yield file
    except FileNotFoundError:
        raise PipelineError(f"{path}: missing; run dvc repro generate@{path.parent.name}") from None
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        hint = f"run dvc repro --force generate@{path.parent.name} (finished texts are kept)"
        raise PipelineError(f"{path}: damaged or truncated ({short(error)}); {hint}") from None
