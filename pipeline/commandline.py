"""What `python -m pipeline.<stage>` takes, checked before the stage's libraries are loaded."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from random_routing.commands.app import QUIET, Parser
from random_routing.errors import PipelineError


@dataclass(frozen=True)
class Usage:
    about: str
    reads: str
    writes: str
    argument: str = ""  # what the one argument names
    example: str = ""  # of it


STAGES = {
    "check": Usage(
        "Read params.yaml whole, so that a wrong value stops before any work.",
        "params.yaml",
        "data/params.checked; removes the files of tasks and assets that left params.yaml",
    ),
    "fetch": Usage(
        "Download an asset, check its hash, convert a model once to safetensors.",
        "params.yaml; the asset's source",
        "data/assets/<asset>/",
        "asset",
        "smollm2",
    ),
    "train": Usage(
        "Train a small model on a data asset.",
        "params.yaml; data/assets/ of its data set",
        "data/assets/<model>/",
        "model",
        "cliff-policy",
    ),
    "prepare": Usage(
        "Make the prompts and human references of a task.",
        "params.yaml; data/assets/ of its data set and model",
        "data/prepared/<task>.jsonl",
        "task",
        "textgen",
    ),
    "generate": Usage(
        "Generate the texts of every cell of a task; only what is new is computed.",
        "params.yaml; data/prepared/<task>.jsonl; data/assets/ of its model",
        "data/generations/<task>/, data/cost/generate-<task>.json",
        "task",
        "textgen",
    ),
    "evaluate": Usage(
        "Measure every cell of a task, with intervals.",
        "params.yaml; data/generations/<task>/; data/prepared/<task>.jsonl; data/assets/ of model, judge, embedder",
        "data/metrics/<task>.json, .stats.parquet and .texts.parquet, data/cost/evaluate-<task>.json",
        "task",
        "textgen",
    ),
    "tune": Usage(
        "Search the best setting of each family of decoders.",
        "params.yaml; data/prepared/<task>.jsonl; data/assets/ of model, judge, embedder",
        "data/tune/<task>.json",
        "task",
        "textgen",
    ),
    "learn": Usage(
        "Let agents learn while they explore by the law; only what is new is computed.",
        "params.yaml; data/assets/ of the environment",
        "data/learning/<entry>.json and .parquet",
        "entry",
        "bandit",
    ),
    "summarize": Usage(
        "Write the tables and findings of all tasks.",
        "params.yaml; data/metrics/; data/tune/; data/learning/",
        "reports/*.csv, reports/findings.md, reports/summary.json",
    ),
    "plot": Usage(
        "Draw the figures and write the page.",
        "params.yaml; all of data/",
        "reports/plots/, reports/figures/, reports/index.html",
    ),
}
# What the argument names → the section of params.yaml that has it.
SECTIONS = {"asset": "assets", "model": "trained", "task": "tasks", "entry": "learning"}


def begin() -> None:
    """In a process of a stage: print usage and end, or one line on wrong arguments."""
    words = len(sys.argv)  # of the command line, from the module's name on
    stage = sys.orig_argv[-words].removeprefix("-m").partition(".")[2]
    if stage not in STAGES:
        return
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        parse(stage, sys.argv[1:])
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def parse(stage: str, argv: Sequence[str]) -> None:
    """Raises `PipelineError` for arguments that the stage does not take, and SystemExit after --help."""
    usage = STAGES[stage]
    command = f"python -m pipeline.{stage}"
    parser = Parser(
        prog=command,
        description=usage.about,
        epilog=f"reads:    {usage.reads}\nwrites:   {usage.writes}\nexample:  {f'{command} {usage.example}'.strip()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if usage.argument:
        section = SECTIONS[usage.argument]
        parser.add_argument(usage.argument, help=f"a name under `{section}` in params.yaml")
    parser.parse_args(argv)
