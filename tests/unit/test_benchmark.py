"""The benchmark of a million texts, small; memory does not grow with the number of cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scale
from random_routing.files import read_json

TEXTS, FEW, MANY = 20_000, 2, 8
ALLOWED = 30  # MiB; a cell of so many texts takes over 13, so that six more in memory would take 80


def test_what_is_measured_of_a_few_texts(tmp_path: Path) -> None:
    found = scale.study(tmp_path, 1, 100, 50)
    records = read_json(tmp_path / "result.json")
    assert [record["cell"] for record in records] == ["cell-0", "human"]
    for record in records:
        assert set(record["metrics"]) == set(scale.NAMES)
        for name, value in record["metrics"].items():
            assert value["lo"] <= value["value"] <= value["hi"], name
    assert found["generations_mib"] > 0 and "bootstrap" in scale.table({"x": found})


@pytest.mark.long
def test_memory_does_not_grow_with_the_number_of_cells(tmp_path: Path) -> None:
    """Of two metrics, whose statistics are 32 bytes a text: those of all cells are kept."""
    names = ("length", "distinct_2")
    studies = [scale.study(tmp_path / str(cells), cells, TEXTS, 100, names) for cells in (FEW, MANY)]
    peaks = [found["evaluate"]["peak_gib"] * 1024 for found in studies]
    assert peaks[1] - peaks[0] < ALLOWED, peaks
