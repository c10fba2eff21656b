"""A cell's file: written and read in batches, and a flipped byte is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from random_routing.errors import PipelineError
from random_routing.report.page.samples import first_rows
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


def test_a_flipped_bit_changes_nothing_unseen(tmp_path: Path) -> None:
    """Of every byte: pages have checksums, the footer our hash; headers of pages end in an error or change nothing."""
    path = tmp_path / "cell.parquet"
    write_cell(path, batches(), {"key": "k"})
    data, whole = path.read_bytes(), read_cell(path)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 1 << place % 8
        path.write_bytes(broken)
        try:
            assert read_cell(path) == whole and place < footer - 32, place
        except PipelineError as error:
            assert str(error).startswith(f"{path}: damaged")


def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> Iterator[list[dict[str, Any]]]:
        yield [row(0)]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_cell(tmp_path / "cell.parquet", fails(), {})
    assert list(tmp_path.iterdir()) == []


def test_the_page_reads_the_first_texts_alone(tmp_path: Path) -> None:
    """The last row group is broken, and nobody notices."""
    path = tmp_path / "cell.parquet"
    write_cell(path, batches(), {})
    broken = bytearray(path.read_bytes())
    chunk = pq.ParquetFile(path).metadata.row_group(2).column(3)
    broken[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 4
    path.write_bytes(broken)
    assert [found["example_id"] for found in first_rows(path, 3)] == ["e0", "e1", "e2"]
    with pytest.raises(PipelineError, match="damaged"):
        read_cell(path)
