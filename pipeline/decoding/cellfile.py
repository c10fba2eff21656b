"""A cell's Parquet file: a row a text, the cell's settings in the metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.checks import PipelineError
from pipeline.files import replacing

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


def write_cell(path: Path, rows: list[dict[str, Any]], metadata: dict[str, Any]) -> None:
    """rows: dictionaries with SCHEMA's fields; metadata: JSON, stored under the key `cell`."""
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    table = table.replace_schema_metadata({"cell": json.dumps(metadata, sort_keys=True)})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_cell(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Table and metadata. Raises `PipelineError` naming the file when it is missing or damaged."""
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        metadata = json.loads((table.schema.metadata or {})[b"cell"])
    except FileNotFoundError:
        raise PipelineError(f"{path}: missing; run dvc repro generate@{path.parent.name}") from None
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        hint = f"run dvc repro --force generate@{path.parent.name} (finished texts are kept)"
        raise PipelineError(f"{path}: damaged or truncated ({reason}); {hint}") from None
    if table.schema.remove_metadata() != SCHEMA:  # the footer, unlike the pages, has no checksum
        raise PipelineError(f"{path}: has columns {table.schema.names}, or other types than {SCHEMA.names}")
    return table, metadata
