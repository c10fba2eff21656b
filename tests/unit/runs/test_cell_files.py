"""A cell's file: written and read in batches, and every flipped bit is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from random_routing.errors import PipelineError
from random_routing.runs.cell_files import read_batches, read_cell, write_cell


def row(number: int) -> dict[str, Any]:
    numbers = [number, number + 1]
    return {
        "example_id": f"e{number}", "sample": 0, "text": f"text {number}", "token_ids": numbers, "routes": [0, 1],
        "logprobs": [-0.5, -1.0], "model_logprobs": [-0.5, -1.0], "ranks": numbers, "entropies": [1.0, 2.0],
        "finish": "length",
    }  # fmt: skip


def batches() -> Iterator[list[dict[str, Any]]]:
    for start in (0, 10, 20):
        yield [row(i) for i in range(start, start + 10)]


def test_a_batch_is_a_row_group_and_all_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "cell.parquet"
    write_cell(path, batches(), {"key": "k"})
    assert pq.ParquetFile(path).num_row_groups == 3
    table, metadata = read_cell(path)
    assert table.to_pylist() == [row(i) for i in range(30)] and metadata == {"key": "k"}
    assert read_cell(path, ["text", "ranks"])[0].column_names == ["text", "ranks"]
    found = list(read_batches(path, ["text"], 7))
    assert max(batch.num_rows for batch in found) <= 7
    assert [text for batch in found for text in batch["text"].to_pylist()] == [
        f"text {i}" for i in range(30)
    ]


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    """Headers of pages and the footer, which Parquet's checksums leave out, are among them; and every cut."""
    path = tmp_path / "cell.parquet"
    write_cell(path, batches(), {"key": "k"})
    data = path.read_bytes()
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        for broken in (flipped, data[:place]):
            path.write_bytes(broken)
            with pytest.raises(PipelineError, match=rf"^{path}: damaged"):
                read_cell(path)


def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> Iterator[list[dict[str, Any]]]:
        yield [row(0)]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_cell(tmp_path / "cell.parquet", fails(), {})
    assert list(tmp_path.iterdir()) == []
