"""`random-routing export`: a finished run into MLflow, and one line where that cannot be."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from random_routing.commands import export
from random_routing.errors import PipelineError
from tests.helpers.workspace import params, write_params


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what a run leaves."""
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, params())
    (tmp_path / "reports/plots").mkdir(parents=True)
    summary = {"gain": {"textgen": 0.25, "dialogue": None}, "sampling": {"textgen": {"distance": 0.5}}}
    (tmp_path / "reports/summary.json").write_text(json.dumps(summary))
    for name in ("index.html", "cells.csv", "plots/textgen-plane.png"):
        (tmp_path / "reports" / name).write_text(name)
    return tmp_path


def arguments(address: str) -> Namespace:
    return Namespace(address=address, experiment="ours")


def test_parameters_numbers_and_files_are_there(run: Path) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install -r requirements-mlflow.txt")
    from mlflow import MlflowClient

    export.main(arguments("runs"))
    client = MlflowClient("runs")
    experiment = client.get_experiment_by_name("ours")
    [found] = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.metrics == {
        "gain.textgen": 0.25,
        "sampling.textgen.distance": 0.5,
    }  # an unknown one is none
    logged = found.data.params
    assert (logged["seed"], logged["grid.q"], logged["tasks.textgen.model"]) == (
        "20260101",
        "[0, 0.1, 0.3]",
        "one",
    )
    kept = Path(found.info.artifact_uri)
    assert (kept / "params.yaml").read_text() == (run / "params.yaml").read_text()
    for name in ("summary.json", "cells.csv", "index.html", "plots/textgen-plane.png"):
        assert (kept / "reports" / name).read_text() == (run / "reports" / name).read_text()


def test_nobody_answers(run: Path) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install -r requirements-mlflow.txt")
    with pytest.raises(PipelineError, match=r"http://127.0.0.1:9: MLflow does not take the run \("):
        export.main(arguments("http://127.0.0.1:9"))


def test_without_mlflow(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)  # as if it were not installed
    with pytest.raises(PipelineError, match=r"not installed; pip install -r requirements-mlflow\.txt"):
        export.main(arguments("runs"))


def test_without_a_run(run: Path) -> None:
    (run / "reports/summary.json").unlink()
    with pytest.raises(PipelineError, match=r"reports/summary\.json: no finished run to export"):
        export.main(arguments("runs"))
    assert not (run / "runs").exists()
