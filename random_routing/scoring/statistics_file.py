"""The statistics of each example in a file: other intervals and comparisons need no texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from random_routing.errors import PipelineError, short
from random_routing.parquet_files import parquet_reader, parquet_writer

Statistics = dict[str, dict[str, np.ndarray]]  # decoder (or human) → metric → (E, k)
SCHEMA = pa.schema(
    [
        ("decoder", pa.string()),
        ("metric", pa.string()),
        ("width", pa.int32()),
        ("values", pa.list_(pa.float64())),
    ]
)


def write_stats(path: str | Path, ids: Sequence[str], stats: Statistics) -> None:
    """A row per decoder and metric, its (E, k) numbers example by example; ids: of the examples, in the metadata."""
    rows = [
        {"decoder": decoder, "metric": metric, "width": values.shape[1], "values": values.ravel()}
        for decoder, of_decoder in stats.items()
        for metric, values in of_decoder.items()
    ]
    table = pa.Table.from_pylist(rows, schema=SCHEMA.with_metadata({"examples": json.dumps(list(ids))}))
    with parquet_writer(path, table.schema) as writer:
        writer.write_table(table)


def read_stats(path: str | Path) -> tuple[list[str], Statistics]:
    """Ids of the examples, and what was written. Raises `PipelineError` naming the file."""
    try:
        with parquet_reader(path) as file:
            table = file.read()
        ids = json.loads((table.schema.metadata or {})[b"examples"])
        stats: Statistics = {}
        for row in range(table.num_rows):
            decoder, metric, width = (table[name][row].as_py() for name in ("decoder", "metric", "width"))
            values = table["values"][row].values.to_numpy(zero_copy_only=False)
            stats.setdefault(decoder, {})[metric] = values.reshape(-1, width)
        return ids, stats
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise PipelineError(f"{path}: cannot be read ({short(error)}); run dvc repro evaluate") from None
