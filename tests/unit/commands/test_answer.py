"""What a run ends with."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import summarize
from random_routing.commands.answer import say_answer
from random_routing.errors import PipelineError
from tests.helpers import synthetic


def test_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = synthetic.raw_params()
    raw["comparison"]["contrasts"] = {"few": {"variant": "uniform", "against": "base"}}
    synthetic.project(tmp_path, raw)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match=r"reports/contrasts\.csv: is missing"):
        say_answer()
    summarize.main([])
    capsys.readouterr()
    say_answer()
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first.startswith("Does random routing help?") and last == "Read more: reports/findings.md"
    assert [line.split()[:3] for line in lines] == [[task, "few", "worse"] for task in raw["tasks"]]
    assert all("against its base, n = 30" in line for line in lines)
    Path("reports/index.html").touch()
    say_answer()
    assert capsys.readouterr().out.splitlines()[-1].startswith("Read more: file:///")
