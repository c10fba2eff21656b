"""What each text has of the metrics that one text is enough for, in a file: to look at, to sort by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from random_routing.errors import PipelineError, short
from random_routing.parquet_files import parquet_reader, parquet_writer

ABOUT = ("decoder", "example_id", "sample")
TextScores = dict[str, dict[str, np.ndarray]]  # decoder (or human) → metric → (R,), NaN where undefined


def write_scores(
    path: str | Path, ids: Sequence[str], scores: Mapping[str, Mapping[str, np.ndarray]]
) -> None:
    """A row per text: decoder, example_id, sample, and a column per metric; ids: of the examples, in their order."""
    parts = []
    for decoder, of_decoder in scores.items():
        texts = max((len(values) for values in of_decoder.values()), default=0)
        samples = texts // len(ids)
        columns: dict[str, object] = {
            "decoder": [decoder] * texts,
            "example_id": [name for name in ids for _ in range(samples)],
            "sample": np.tile(np.arange(samples, dtype=np.int32), len(ids)),
        }
        parts.append(
            pa.table(columns | {name: values.astype(np.float32) for name, values in of_decoder.items()})
        )
    whole = pa.concat_tables(parts, promote_options="default")
    with parquet_writer(path, whole.schema) as writer:
        writer.write_table(whole)


def read_scores(path: str | Path) -> TextScores:
    """What was written. Raises `PipelineError` naming the file."""
    try:
        with parquet_reader(path) as file:
            table = file.read()
        decoders = np.array(table["decoder"].to_pylist())
        names = [name for name in table.column_names if name not in ABOUT]
        values = {name: table[name].to_numpy() for name in names}
        return {
            decoder: {name: values[name][decoders == decoder] for name in names}
            for decoder in dict.fromkeys(decoders.tolist())
        }
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise PipelineError(f"{path}: cannot be read ({short(error)}); run dvc repro evaluate") from None
