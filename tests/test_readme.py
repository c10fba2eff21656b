"""Tables of the benchmarks in the README are those of `reports/`."""

from __future__ import annotations

from pathlib import Path

from benchmarks import evaluation, scale, scale_out, statistics
from benchmarks.decode import table as decode_table
from random_routing.files import read_json
from random_routing.report.names import metric_table

ROOT = Path(__file__).parent.parent


def shown(name: str, file: str = "README.md") -> str:
    text = (ROOT / file).read_text(encoding="utf-8")
    return text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0].strip()


def test_the_tables_are_those_of_the_last_runs() -> None:
    assert shown("benchmark") == decode_table(read_json(ROOT / "reports/benchmark.json")).strip()
    assert shown("statistics") == statistics.table(read_json(ROOT / "reports/statistics.json")).strip()


def test_the_statistics_tell_the_truth() -> None:
    """A/A at 5 % ± 2 %, coverage of 93 % to 98.5 %; rare repetitions are known to be too narrow."""
    for found in read_json(ROOT / "reports/statistics.json")["sizes"].values():
        assert 0.93 <= found["matched_covered"] <= 0.985
        for name, rates in found["metrics"].items():
            assert rates["common_noise_width"] < 1
            if name != "seq_rep_4":
                assert 0.03 <= rates["a_a_rejected"] <= 0.07, name
                assert 0.93 <= rates["value_covered"] <= 0.985, name


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    assert shown("metrics") == metric_table()
    assert shown("evaluation") == evaluation.table(read_json(ROOT / "reports/evaluation.json")).strip()


def test_the_tables_of_scale_are_those_of_the_last_runs() -> None:
    found = read_json(ROOT / "reports/scale_out.json")
    for name, table in (
        ("executors", scale_out.executor_table(found)),
        ("pieces", scale_out.piece_table(found)),
        ("estimate", scale_out.estimate_table(found)),
        ("storage", scale.table(read_json(ROOT / "reports/scale.json")["studies"])),
    ):
        assert shown(name, "docs/scale.md") == table.strip(), name
