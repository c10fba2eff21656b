"""`random-routing repro`: DVC's stages, counted."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from random_routing.commands.repro import counted, main, most_seconds, tokens_of
from random_routing.errors import PipelineError
from random_routing.files import write_json
from random_routing.runs.cost import machine
from random_routing.settings import parse_settings
from tests.helpers.workspace import params, write_params

STAGES = ["check", "generate@textgen", "generate@dialogue", "evaluate@dialogue", "summarize"]
SAID = [
    "Stage 'check' didn't change, skipping\n", "Running stage 'generate@textgen':\n", "> python\n",
    "generate: textgen: done\n", "Stage 'generate@dialogue' is cached - skipping run, checking out outputs\n",
    "Restored stage 'evaluate@dialogue' from run-cache\n", "Running stage 'summarize':\n", "Running stage 'other':\n",
]  # fmt: skip


def cost(stage: str, task: str, speed: float) -> None:
    about = {"tokens": 100.0 * speed, "seconds": 100.0, "dtype": "float32", "machine": machine()}
    write_json(f"data/cost/{stage}-{task}.json", about)


def test_stages_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = parse_settings(params())
    assert list(counted(SAID, STAGES, settings)) == [
        f"[1 of 5] {SAID[0]}", f"[2 of 5] {SAID[1]}", *SAID[2:4], f"[3 of 5] {SAID[4]}", f"[4 of 5] {SAID[5]}",
        f"[5 of 5] {SAID[6]}", SAID[7],
    ]  # fmt: skip
    cost("generate", "textgen", 0.1)
    (line,) = [line for line in counted(SAID, STAGES, settings) if "generate@textgen" in line]
    assert line.startswith("[2 of 5, at most ") and " left] Running" in line


def test_a_folder_without_stages_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, params())
    with pytest.raises(PipelineError, match=r"^dvc\.yaml: DVC cannot read its stages \(.*\)$"):
        main(Namespace(targets=[]))


def test_time_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 examples of 8 tokens; of the tuned families one is routing, two are rivals, each with 4 trials on a half."""
    monkeypatch.chdir(tmp_path)
    values = params()
    values["grid"], values["variants"] = (
        {"q": [0, 0.1], "lambda": [0]},
        {"uniform": values["variants"]["uniform"]},
    )
    values["baselines"] = {"greedy": True}
    settings = parse_settings(values)
    texts = 4 * 8
    assert tokens_of("generate", "textgen", settings) == 3 * texts  # plain sampling, q = 0.1, greedy
    assert tokens_of("evaluate", "textgen", settings) == 3 * texts  # a metric reads the judge
    assert tokens_of("evaluate", "dialogue", settings) == 3 * texts
    assert tokens_of("tune", "textgen", settings) == 3 * 4 * 0.5 * texts
    assert tokens_of("prepare", "textgen", settings) == 0
    left = ["generate@textgen", "generate@dialogue", "evaluate@dialogue", "plot"]
    assert most_seconds(left, settings) == 0  # no speed is known
    cost("generate", "textgen", 2.0)
    assert most_seconds(left, settings) == 3 * 3 * texts / 2
    cost("generate", "dialogue", 4.0)
    cost("evaluate", "textgen", 8.0)
    assert most_seconds(left, settings) == 3 * texts * (1 / 2 + 1 / 4 + 1 / 8)
