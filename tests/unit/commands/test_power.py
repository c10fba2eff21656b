"""`random-routing power`: what a run of so many prompts would show."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from random_routing.commands import power
from random_routing.errors import PipelineError
from random_routing.files import sealed, write_json
from tests.helpers import synthetic

CONTRAST = {"variant": "uniform", "against": "temperature"}


def project(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    raw = synthetic.raw_params()
    raw["comparison"]["contrasts"] = {"few": CONTRAST, "many": CONTRAST | {"against": "base"}}
    synthetic.project(folder, raw)
    monkeypatch.chdir(folder)
    path = Path("data/metrics/dialogue.json")
    found = json.loads(path.read_text())
    found["comparison"]["contrasts"][0] |= {"error": 0.2, **changes}
    found["comparison"]["contrasts"][1] |= {"missing": "outside"}
    write_json(path, sealed({name: value for name, value in found.items() if name != "sha256"}))


def test_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, monkeypatch)
    power.main(Namespace(prompts=[1000, 30]))
    said = capsys.readouterr().out
    assert "6 hypotheses share 0.05 of error" in said
    dialogue = said[said.index("dialogue") :].splitlines()
    assert dialogue[0].split()[:5] == ["dialogue", "against", "Δ", "30", "1,000"]
    assert dialogue[1].startswith("few") and dialogue[2].split() == ["many", "base", "0.03", "outside"]
    power.main(Namespace(prompts=[]))
    heads = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("dialogue")]
    assert heads[0][3:7] == ["30", "120", "480", "1,920"]  # times the prompts of the run


def test_one_hypothesis_shares_with_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = synthetic.raw_params()
    raw["comparison"]["contrasts"] = {"few": CONTRAST | {"tasks": ["dialogue"]}}
    synthetic.project(tmp_path, raw)
    monkeypatch.chdir(tmp_path)
    power.main(Namespace(prompts=[64]))
    assert "\nOne hypothesis has 0.05 of error" in capsys.readouterr().out


def test_without_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthetic.project(tmp_path, synthetic.raw_params())
    monkeypatch.chdir(tmp_path)
    for path in Path("data/metrics").glob("*.json"):
        path.unlink()
    with pytest.raises(PipelineError, match="data/metrics: no run to learn from"):
        power.main(Namespace(prompts=[64]))
