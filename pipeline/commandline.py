"""What `python -m pipeline.<stage>` takes, checked before the stage's libraries are loaded."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from random_routing.errors import PipelineError


@dataclass(frozen=True)
class Usage:
    about: str
    reads: str
    writes: str
    argument: str = ""  # what the one argument names
    example: str = ""  # of it
    many: bool = False  # numbers, as many as one likes
    two: bool = False  # of the argument, A and B


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
    "summarize": Usage(
        "Write the tables and findings of all tasks.",
        "params.yaml; data/metrics/; data/tune/",
        "reports/*.csv, reports/findings.md, reports/summary.json",
    ),
    "plot": Usage(
        "Draw the figures and write the page.",
        "params.yaml; all of data/",
        "reports/plots/, reports/figures/, reports/index.html",
    ),
    "answer": Usage(  # not of dvc.yaml: after a run
        "Say what became of the hypotheses of the last run.",
        "reports/contrasts.csv",
        "nothing",
    ),
    "power": Usage(  # not of dvc.yaml: a question before a run
        "Say what a number of prompts can show, from the variances of the last run.",
        "params.yaml; data/metrics/",
        "nothing",
        "prompts",
        "256 1000",
        many=True,
    ),
    "compare": Usage(  # not of dvc.yaml: two runs
        "Lay two runs side by side: their verdicts, curves, texts and parameters.",
        "the pages of A and B: a page, a folder with one, or a revision",
        "reports/compare.html",
        "run",
        "main~1 reports",
        two=True,
    ),
}


# One line means one: transformers' own reports and bars, here and in processes that a stage starts.
QUIET = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise PipelineError(f"{self.prog}: {message}; {self.prog} --help says what it takes")


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


def _count(word: str) -> int:
    if not (word.isdecimal() and 2 <= int(word) <= 10**9):
        raise argparse.ArgumentTypeError(f"{word}: must be a whole number of at least 2")
    return int(word)


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
    if usage.many:
        parser.add_argument(usage.argument, nargs="*", type=_count, help="numbers of prompts, at least 2")
    elif usage.two:
        for name in ("A", "B"):
            parser.add_argument(name, help="a page, a folder with reports/index.html, or a Git revision")
    elif usage.argument:
        section = "assets" if usage.argument == "asset" else "tasks"
        parser.add_argument(usage.argument, help=f"a name under `{section}` in params.yaml")
    parser.parse_args(argv)
