"""Numbers of the benchmark in the README are those of `reports/benchmark.json`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.decode import table
from pipeline.files import read_json

ROOT = Path(__file__).parent.parent


def test_the_table_is_that_of_the_last_run() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.split("<!-- benchmark -->")[1].split("<!-- /benchmark -->")[0].strip()
    assert shown == table(read_json(ROOT / "reports/benchmark.json")).strip()
