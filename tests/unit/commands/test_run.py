"""`random-routing run`: data by their content, and Ctrl-C while the pipeline works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from random_routing.commands.app import main
from random_routing.commands.signals import waiting


def test_data_that_have_changed_are_another_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC does not watch what lies outside; so the workspace has a copy, under the name of its content."""
    monkeypatch.chdir(tmp_path)
    sources = []
    for prompt in ("one", "two", "one"):
        text = json.dumps({"text": prompt})
        Path("rows.jsonl").write_text(text)
        with pytest.raises(SystemExit) as ended:
            main(["run", "--task", "textgen", "--data", "rows.jsonl", "--folder", "work", "--only-write"])
        assert ended.value.code == 0
        values = yaml.safe_load(Path("work/params.yaml").read_text(encoding="utf-8"))
        sources.append(values["assets"]["own-data"]["source"])
        assert (tmp_path / "work" / sources[-1].removeprefix("file:")).read_text() == text
    assert sources[0] == sources[2] != sources[1]
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd="work", capture_output=True, text=True
    ).stdout
    assert "inputs" not in status and ".random-routing" not in status


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        ("", [], "has no records"),
        ("one", [], "rows.jsonl cannot be read (line 1: is no JSON: "),
        ('{"words": "one"}', [], "has the columns ['words']"),
        ('{"text": "one"}', ["--field", "text=txt"], "= 'txt': no such column; there are ['text']"),
    ],
)
def test_data_that_no_task_can_have_are_one_line_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, flags: list[str],
    said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--task", "textgen", "--data", "rows.jsonl", *flags, "--folder", "work"])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and said in line and "own-data" in line and not Path("work").exists()


@pytest.mark.parametrize(
    ("rates", "noted"),
    [(["--q", "0", "--lambda", "0"], True), (["--q", "0", "--lambda", "0", "0.1"], False), ([], False)],
)
def test_rates_that_route_nothing_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rates: list[str], noted: bool
) -> None:  # fmt: skip
    """Plain decoders may be meant, so it is no error."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--task", "dialogue", *rates, "--folder", "work", "--only-write"])
    said = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0 and said[-1].startswith("run: work/params.yaml is written")
    assert [line for line in said if "every rate is 0, so no step is random" in line] == said[:-1]
    assert len(said) == 1 + noted


def test_ctrl_c_is_for_the_process_that_works() -> None:
    """It is ended by the signal, as in a terminal, where all of them get it; this one waits for it."""
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    with waiting() as caught:
        os.kill(os.getpid(), signal.SIGINT)
        process.send_signal(signal.SIGINT)
        assert process.wait() != 0
    assert caught == [signal.SIGINT] and signal.getsignal(signal.SIGINT) is signal.default_int_handler
