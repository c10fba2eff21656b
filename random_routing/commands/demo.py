"""A first page in about three minutes: one task, few prompts, a dozen decoders, and no second model."""

from __future__ import annotations

import os
import sys
import webbrowser
from argparse import Namespace
from pathlib import Path

import yaml

from random_routing.commands.choices import Choice, parameters
from random_routing.commands.run import run_in
from random_routing.commands.workspace import make_workspace, project_file
from random_routing.metrics import METRICS

TASK = "dialogue"
MORE = (
    "That was the demo: the same code and guarantees, and too few prompts for an answer. `make repro` runs six kinds "
    "of task, a judge, all families of decoders, tuning and the figures; `make study` enough prompts to tell."
)


def choice(base: str) -> Choice:
    """Of the project's params.yaml: no metric that reads a judge, so that the model may stand for it."""
    values = yaml.safe_load(base)
    metrics = [name for name in values["metrics"] if not METRICS[name].reads("judge")]
    changes = {
        ("metrics",): metrics,
        ("baselines",): {"greedy": True, "temperature": [0.7, 1.0, 1.15, 1.3, 1.5]},
        ("bootstrap", "resamples"): 2000, ("report", "formats"): [],
    }  # fmt: skip
    return Choice(
        TASK, judge=values["tasks"][TASK]["model"], q=(0,), lam=(0, 0.1, 0.3),
        variants=("uniform", "plausible", "explore-first"), examples=12, tokens=32, changes=changes,
    )  # fmt: skip


def main(arguments: Namespace) -> int:
    base, folder = project_file("params.yaml").read_text(encoding="utf-8"), Path(arguments.folder)
    parameters(base, Choice(TASK))  # one line, if the project's own parameters were edited badly
    make_workspace(folder, parameters(base, choice(base)))
    if status := run_in(folder):
        return status
    print(MORE)
    if sys.stdout.isatty() and (os.environ.get("DISPLAY") or sys.platform in ("darwin", "win32")):
        webbrowser.open((folder / "reports/index.html").resolve().as_uri())
    return 0
