"""The table of cells and the summary, against values worked out by hand."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from pipeline import summarize
from random_routing.errors import PipelineError
from random_routing.report.tables.cells import Row, Value, from_csv, rows_of, to_csv
from random_routing.report.tables.summary import summarize_task
from random_routing.settings import Base, Route, Variant
from tests import synthetic

NAN = math.nan
UNIFORM = {"v": Variant(Base(), Route("uniform"), Route("uniform"))}


def cell(name: str, family: str, **values: Any) -> dict[str, Any]:
    about = {"variant": "", "q": None, "lambda": None, "r": None, "setting": None, "decoder": name}
    return {"cell": name, "family": family, "examples": 64, "samples": 1, "metrics": {}, **about, **values}


def row(
    family: str, diversity: float, quality: float, r: float = math.nan, setting: float = math.nan
) -> Row:
    """A row of a variant `v` at (q = r, λ = 0), or of a baseline."""
    name = f"{family}-{r}-{setting}"
    metrics = {"distinct_2": Value(diversity), "bleu": Value(quality), "perplexity": Value(quality)}
    routing = family == "routing"
    variant, lam = ("v", 0.0) if routing else ("", math.nan)
    return Row("translation", name, family, variant, r, lam, "", r, setting, name, 2, 1, metrics)


def test_csv_of_two_cells_is_exactly_this() -> None:
    routed = cell("routing-v-q0.03-l0.1", "routing", variant="v", q=0.03, r=0.127, **{"lambda": 0.1})
    routed["metrics"] = {"bleu": {"value": 100 / 3, "lo": 1234567.0, "hi": 0.00001234567}}
    top_k = cell("top_k-50", "top_k", setting=50.0)
    top_k["metrics"] = {
        "bleu": {"value": None, "lo": None, "hi": None},
        "empty": {"value": 0.0, "lo": 0.0, "hi": 0.5},
    }
    rows = rows_of({"task": "translation", "cells": [routed, top_k]}, "exploit")
    assert to_csv(rows, ["empty", "bleu"]) == (
        "task,cell,family,variant,q,lambda,lambda_means,r,setting,decoder,examples,samples,"
        "empty,empty_lo,empty_hi,bleu,bleu_lo,bleu_hi\n"
        "translation,routing-v-q0.03-l0.1,routing,v,0.03,0.1,exploit,0.127,,routing-v-q0.03-l0.1,64,1,"
        ",,,33.3333,1.23457e+06,1.23457e-05\n"
        "translation,top_k-50,top_k,,,,,,50,top_k-50,64,1,0,0,0.5,,,\n"
    )


def test_csv_reads_back_as_it_was_written() -> None:
    rows = rows_of({"task": "textgen", "cells": [cell("a,b", "eta", setting=0.25)]}, "explore")
    text = to_csv(rows, ["bleu"])
    assert to_csv(from_csv(text, "x.csv"), ["bleu"]) == text


def test_broken_csv_is_named() -> None:
    with pytest.raises(PipelineError, match=r"x\.csv: has no column cell"):
        from_csv("task\ntextgen\n", "x.csv")
    text = to_csv(rows_of({"task": "textgen", "cells": [cell("a", "eta", setting=0.5)]}, "explore"), [])
    with pytest.raises(PipelineError, match=r"x\.csv, line 2: .*'high'"):
        from_csv(text.replace("0.5", "high"), "x.csv")


COMPARED: dict[str, Any] = {
    "quality": "bleu",
    "best": {"cell": "routing-v-q0.1-l0", "difference": 0.0123456789, "lo": -0.1, "hi": 0.2},
    "hypervolume": [{"family": "temperature", "ratio": 1.0}, {"family": "routing", "ratio": 0.5}],
}


def test_the_numbers_of_a_task() -> None:
    rows = [row("temperature", 0.9, 1 / 3, setting=1.0), row("routing", 0.9, 20.0, r=0.1)]
    assert summarize_task(rows, COMPARED, UNIFORM) == {
        "gain": 0.0123457, "gain_lo": -0.1, "gain_hi": 0.2, "area_vs_temp": 0.5, "sampling_bleu": 0.333333,
    }  # fmt: skip


def test_missing_numbers_are_left_out() -> None:
    nothing: dict[str, Any] = {"quality": "bleu", "best": None, "hypervolume": []}
    assert summarize_task([row("human", 0.9, 100.0)], nothing, UNIFORM) == {}
    missing = {**COMPARED, "best": {**COMPARED["best"], "lo": None}}
    assert "gain_lo" not in summarize_task([], missing, UNIFORM)


def run(folder: Path, raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, float]]:
    synthetic.project(folder, raw)
    monkeypatch.chdir(folder)
    summarize.main([])
    return json.loads(Path("reports/summary.json").read_text())


def test_stage_on_the_default_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = run(tmp_path, synthetic.raw_params(), monkeypatch)
    assert list(summary["textgen"]) == ["area_vs_temp", "gain", "gain_hi", "gain_lo", "sampling_gap"]
    assert set(summary) == {"textgen", "dialogue", "translation"}
    assert all(len(numbers) <= 5 for numbers in summary.values())
    with open("reports/cells.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [r["task"] for r in rows[:1] + rows[-1:]] == ["textgen", "translation"]  # as in params.yaml
    assert len(rows) == 2 * 97 + 98  # 15 baselines, 81 routing cells, human; translation has a beam more
    assert {r["bleu"] for r in rows if r["task"] == "textgen"} == {""}
    assert {r["lambda_means"] for r in rows if r["family"] != "routing"} == {""}


def test_metrics_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = ["ead_2", "mauve", "fluency_gap", "reference_similarity", "chrf"]  # these are always needed
    run(tmp_path, synthetic.raw_params() | {"metrics": ["length", *compared]}, monkeypatch)
    header = Path("reports/cells.csv").read_text().splitlines()[0]
    assert header.split("samples,")[1].split(",")[::3] == ["length", *compared]


def test_missing_metrics_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthetic.project(tmp_path, synthetic.raw_params())
    (tmp_path / "data/metrics/dialogue.json").unlink()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match=r"data/metrics/dialogue\.json"):
        summarize.main([])
