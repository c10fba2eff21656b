"""`random-routing <command>`: reads the command line, and calls what it names. Libraries are loaded after that."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from random_routing import interrupt
from random_routing.errors import PipelineError

PROGRAM = "random-routing"
EXIT = "exit status: 0 done, 1 a stage failed, 2 bad input (one line), 130 interrupted (what is finished is kept)"
# One line means one: transformers' own reports and bars, here and in processes that are started.
QUIET = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}

Adder = Callable[[argparse.ArgumentParser], None]


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise PipelineError(f"{self.prog}: {message}; {self.prog} --help says what it takes")


def _nothing(parser: argparse.ArgumentParser) -> None:
    pass


def _rates(parser: argparse.ArgumentParser, default: Sequence[float]) -> None:
    for flag, name, letter, route in (("--q", "q", "Q", "outer"), ("--lambda", "lam", "L", "inner")):
        parser.add_argument(flag, dest=name, nargs="+", type=float, default=default, metavar=letter,
                            help=f"rates of the {route} route")  # fmt: skip


def _run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--task",
        required=True,
        help="a section of `tasks` in the parameters; the project's own has textgen, dialogue, translation and others",
    )
    add("--model", dest="models", nargs="+", default=(), metavar="SOURCE",
        help="what writes: hf:name@revision, a path, or a name under `assets`; several are compared")  # fmt: skip
    add("--tokenizer", default="", metavar="SOURCE",
        help="of a model that a server runs (served:http://host:port/v1): hf:name@revision or a folder")  # fmt: skip
    add(
        "--judge",
        default="",
        metavar="SOURCE",
        help="another model, for metrics that read one; else the file's",
    )
    add(
        "--data",
        default="",
        metavar="SOURCE",
        help="rows: hf:data-set@revision, a path (.jsonl, .csv, …), or a name",
    )
    add("--field", dest="fields", action="append", default=[], type=_pair, metavar="FIELD=COLUMN",
        help="the data's column of a field that has another name there: text (textgen); context, of exactly `turns` "
             "turns, and reply, or conversation (dialogue); source, reference (translation)")  # fmt: skip
    _rates(parser, ())
    add("--variants", nargs="+", default=(), metavar="NAME",
        help="of `variants` in the parameters; plausible, if rates are given, else all")  # fmt: skip
    add(
        "--temperature",
        nargs="+",
        type=float,
        default=(),
        metavar="T",
        help="temperatures, beside the file's other baselines",
    )
    add("--examples", type=int, help="prompts")
    add("--samples", type=int, help="texts of each prompt")
    add("--tokens", type=int, help="of a text, at most")
    add("--languages", nargs=2, default=(), metavar=("FROM", "TO"), help="of translation, such as de en")
    add("--seed", dest="seeds", nargs="+", type=int, default=(), metavar="N",
        help="of all random numbers; several are repeated runs, and are judged together as well")  # fmt: skip
    add(
        "--params",
        default="",
        metavar="FILE",
        help="what is not chosen here; left out: the project's params.yaml",
    )
    add("--folder", default="", help="the workspace; left out: data/runs/<task>")
    add("--only-write", action="store_true", help="write the workspace and run nothing")


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", default="data/runs/demo", help="the workspace; left out: data/runs/demo"
    )


def _power(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompts", nargs="*", type=_count, help="numbers of prompts, at least 2")


def _served(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--url",
        required=True,
        help="of vLLM's server, such as http://127.0.0.1:8000; a key: RANDOM_ROUTING_API_KEY",
    )
    add(
        "--prompts",
        required=True,
        metavar="FILE",
        help="a .jsonl file whose rows have `prompt`, and `id` or none",
    )
    add("--out", required=True, metavar="FILE", help="the table, a .parquet file")
    add("--model", default="", help="the server's name for it; left out: its only one")
    _rates(parser, [0.0])
    add(
        "--variants",
        default="",
        metavar="FILE",
        help="YAML: routes, gates, base by name; left out: plausible",
    )
    add("--temperature", nargs="+", type=float, default=[], metavar="T", help="baselines beside greedy")
    add("--samples", type=int, default=1, help="texts of each prompt")
    add("--tokens", type=int, default=48, help="of a text, at most")
    add("--seed", type=int, default=0)
    add("--concurrency", type=int, default=8, help="requests at a time")


def _compare(parser: argparse.ArgumentParser) -> None:
    for name in ("A", "B"):
        parser.add_argument(name, help="a page, a folder with reports/index.html, or a Git revision")


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("address", help="of MLflow: http://…, or a folder")
    parser.add_argument("--experiment", default=PROGRAM, metavar="NAME", help=f"left out: {PROGRAM}")


def _repro(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", help="stages, as of dvc repro; left out: all")


COMMANDS: dict[str, tuple[str, Adder, tuple[str, ...]]] = {  # command → what it does, its arguments, examples
    "demo": ("A first page, of one task and few prompts, in about three minutes.", _folder, ("",)),
    "run": (
        "Run the pipeline on a model, data and rates of your own, in a workspace with its own params.yaml, so that "
        "`dvc repro` there repeats it. The same call goes on with what is unfinished.",
        _run,
        (
            "--task dialogue --q 0 0.03 --lambda 0 0.1 --examples 64",
            "--task dialogue --model hf:org/name@rev --data rows.jsonl --field reply=answer --q 0 0.03 --lambda 0 0.1",
            "--task textgen --model smollm2 hf:org/name@rev --seed 1 2 3",
            "--task translation --languages en fr --data pairs.csv --field source=en --field reference=fr",
        ),
    ),
    "check": ("Read params.yaml whole, and say how many decoders each task has.", _nothing, ("",)),
    "repro": ("`dvc repro` with its stages counted, and the answer at the end.", _repro, ("",)),
    "power": (
        "Say what a number of prompts can show, from the variances of the last run.", _power, ("", "256 1000"),
    ),
    "compare": (
        "Lay two runs side by side, in reports/compare.html: their verdicts, curves, texts and parameters.",
        _compare,
        ("main~1 reports", "data/runs/demo reports/index.html"),
    ),
    "export": (
        "The last run into MLflow: its parameters, the numbers of reports/summary.json, and reports/ with the page.",
        _export,
        ("http://localhost:5000", "mlruns --experiment demo"),
    ),
    "served": (
        "Run a grid of decoders on a model that vLLM serves with the processor, into one table. The same call goes on "
        "with what is unfinished.",
        _served,
        ("--url http://127.0.0.1:8000 --prompts prompts.jsonl --q 0 0.03 --lambda 0 0.1 --out texts.parquet",),
    ),
    "show": ("Experiments (dvc exp run) in a table that fits a terminal.", _nothing, ("",)),
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """One line on bad input, and the status that `EXIT` says. argv: from another program, whose signals stay."""
    if argv is None:
        interrupt.listen()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)

    def work() -> int:
        arguments = parser().parse_args(sys.argv[1:] if argv is None else argv)
        return import_module(f"random_routing.commands.{arguments.command}").main(arguments) or 0

    sys.exit(interrupt.in_one_line(work))


def parser() -> Parser:
    whole = Parser(
        prog=PROGRAM, description="Does randomness in decoding help?", epilog=EXIT, allow_abbrev=False
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="command")
    for name, (about, add, examples) in COMMANDS.items():
        lines = [f"{PROGRAM} {name} {example}".strip() for example in examples]
        one = commands.add_parser(
            name,
            help=about.split(". ")[0].rstrip("."),
            description=textwrap.fill(about, 100),
            epilog="\n".join([*(f"example:  {line}" for line in lines), "", EXIT]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        add(one)
    return whole


def _count(word: str) -> int:
    if not (word.isdecimal() and 2 <= int(word) <= 10**9):
        raise argparse.ArgumentTypeError(f"{word}: must be a whole number of at least 2")
    return int(word)


def _pair(word: str) -> tuple[str, str]:
    name, equals, column = word.partition("=")
    if not (name and equals and column):
        raise argparse.ArgumentTypeError(f"{word}: must be field=column")
    return name, column
