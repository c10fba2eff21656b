"""The table of cells and the summary, against values worked out by hand."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import summarize
from random_routing.errors import PipelineError
from random_routing.report.input import Results
from random_routing.report.tables.cells_csv import to_csv
from random_routing.report.tables.summary import summary
from random_routing.results.compared import Best, Compared
from random_routing.results.measured import NAN, CellValues, Measured, Value
from random_routing.settings import Base, Route, Variant, load_settings, parse_settings
from tests.helpers import ROOT, synthetic

UNIFORM = {"v": Variant(Base(), Route("uniform"), Route("uniform"))}


def cell(name: str, family: str, metrics: dict[str, Value], **given: Any) -> CellValues:
    about = {"variant": "", "q": NAN, "lam": NAN, "r": NAN, "setting": NAN, "decoder": name}
    return CellValues(
        cell=name, family=family, examples=64, samples=1, metrics=metrics, **{**about, **given}
    )


def row(family: str, diversity: float, quality: float, r: float = NAN, setting: float = NAN) -> CellValues:
    """A cell of a variant `v` at (q = r, λ = 0), or of a baseline."""
    metrics = {
        "distinct_2": Value(diversity, NAN, NAN), "bleu": Value(quality, NAN, NAN),
        "perplexity": Value(quality, NAN, NAN),
    }  # fmt: skip
    variant, lam = ("v", 0.0) if family == "routing" else ("", NAN)
    return cell(
        f"{family}-{r}-{setting}", family, metrics, variant=variant, q=r, lam=lam, r=r, setting=setting
    )


def test_csv_of_two_cells_is_exactly_this() -> None:
    numbers = {"bleu": Value(100 / 3, 1234567.0, 0.00001234567)}
    routed = cell("routing-v-q0.03-l0.1", "routing", numbers, variant="v", q=0.03, lam=0.1, r=0.127)
    numbers = {"bleu": Value(NAN, NAN, NAN, "no text"), "empty": Value(0.0, 0.0, 0.5)}
    top_k = cell("top_k-50", "top_k", numbers, setting=50.0)
    measured = replace(MEASURED, cells=[routed, top_k])
    settings = replace(
        load_settings(ROOT / "params.yaml"), metrics=("empty", "bleu"), lambda_means="exploit"
    )
    assert to_csv([measured], settings) == (
        "task,kind,model,seed,cell,family,variant,q,lambda,lambda_means,r,setting,decoder,examples,samples,"
        "empty,empty_lo,empty_hi,bleu,bleu_lo,bleu_hi\n"
        "translation,translation,gemma3,20260101,routing-v-q0.03-l0.1,routing,v,0.03,0.1,exploit,0.127,,routing-v-q0.03-l0.1,64,1,"
        ",,,33.3333,1.23457e+06,1.23457e-05\n"
        "translation,translation,gemma3,20260101,top_k-50,top_k,,,,,,50,top_k-50,64,1,0,0,0.5,,,\n"
    )


COMPARED = Compared(
    diversity="ead_2", quality="bleu", correction="holm", matched=[], against_base=[], front=[],
    contrasts=[],
    axes=[],
    best=Best(cells=("routing-v-q0.1-l0",), difference=0.0123456789, lo=-0.1, hi=0.2, p=0.5),
)  # fmt: skip
MEASURED = Measured(
    task="translation", examples=["a"], metrics={}, cells=[], recovery=[], identity=[], gates=[], likelihood=[],
    comparison=COMPARED,
)  # fmt: skip


def test_the_numbers_of_a_task() -> None:
    rows = [row("temperature", 0.9, 1 / 3, setting=1.0), row("routing", 0.9, 20.0, r=0.1)]
    results = {"translation": Results(replace(MEASURED, cells=rows), None)}
    assert summary(results, UNIFORM) == {
        "gain": {"translation": 0.0123457}, "lo": {"translation": -0.1}, "hi": {"translation": 0.2},
        "sampling": {"translation": {"bleu": 0.333333}},
    }  # fmt: skip
    tuned = synthetic.whole("translation", parse_settings(synthetic.raw_params())).tuned
    assert tuned is not None
    winner = tuned.families["routing"].winner
    found = summary({"translation": Results(MEASURED, tuned)}, UNIFORM)
    assert [found["tuned"]["translation"], found["held_out"]["translation"]] == pytest.approx(
        [winner.tune.reward, winner.test.reward], rel=1e-5
    )


def test_missing_numbers_are_left_out() -> None:
    nothing = replace(COMPARED, best=None)
    human = replace(MEASURED, cells=[row("human", 0.9, 100.0)], comparison=nothing)
    assert summary({"translation": Results(human, None)}, UNIFORM) == {}
    assert COMPARED.best is not None
    no_interval = replace(COMPARED, best=replace(COMPARED.best, lo=NAN))
    found = summary({"translation": Results(replace(MEASURED, comparison=no_interval), None)}, UNIFORM)
    assert list(found) == ["gain", "hi"]


def run(folder: Path, raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, float]]:
    synthetic.project(folder, raw)
    monkeypatch.chdir(folder)
    summarize.main([])
    return json.loads(Path("reports/summary.json").read_text())


def test_stage_on_the_default_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = run(tmp_path, synthetic.raw_params(), monkeypatch)
    assert list(numbers)[:4] == ["gain", "lo", "hi", "sampling"]  # the columns of dvc exp show
    assert all(list(values) == ["textgen", "dialogue", "translation"] for values in numbers.values())
    with open("reports/cells.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [r["task"] for r in rows[:1] + rows[-1:]] == ["textgen", "translation"]  # as in params.yaml
    assert len(rows) == 2 * 99 + 100  # 17 baselines, 81 routing cells, human; translation has a beam more
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
