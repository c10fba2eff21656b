"""Usage of every stage, and what Ctrl-C and SIGTERM do to it at any moment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file, save_file

from pipeline.commandline import STAGES
from random_routing.files import read_json, sealed, sha256_file, write_json
from tests.helpers import ROOT
from tests.helpers.waiting import LAST_RESORT
from tests.helpers.workspace import params, write_params

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def stage(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)


def test_every_stage_has_its_usage() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert list(STAGES) == list(stages)
    assert {name for name, usage in STAGES.items() if usage.argument} == {
        name for name, stage in stages.items() if "foreach" in stage
    }


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("name", STAGES)
def test_help_runs_nothing(tmp_path: Path, name: str, option: str) -> None:
    """In a folder where the stage could only fail, or write."""
    write_params(tmp_path, params())
    ended = stage(tmp_path, f"pipeline.{name}", option)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"usage: python -m pipeline.{name} [-h]")
    for word in ("reads:    ", "writes:   ", f"example:  python -m pipeline.{name}"):
        assert word in ended.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "x"], "unrecognized arguments: x"),
        (["summarize", "--fast"], "unrecognized arguments: --fast"),
        (["plot", "a", "b"], "unrecognized arguments: a b"),
        (["generate"], "the following arguments are required: task"),
        (["fetch"], "the following arguments are required: asset"),
        (["tune", "textgen", "dialogue"], "unrecognized arguments: dialogue"),
        (["evaluate", "textgen", "--hel"], "unrecognized arguments: --hel"),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = stage(tmp_path, f"pipeline.{arguments[0]}", *arguments[1:])
    command = f"python -m pipeline.{arguments[0]}"
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"error: {command}: {said}; {command} --help says what it takes\n"
    assert not list(tmp_path.iterdir())


def test_a_program_of_a_person_is_left_alone(tmp_path: Path) -> None:
    """Importing the library takes no arguments and no signals."""
    (tmp_path / "own.py").write_text(
        "import signal, sys, pipeline, random_routing.errors\n"
        "print(sys.argv[1:], signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
    )
    ended = stage(tmp_path, "own", "--help")
    assert (ended.stdout, ended.stderr) == ("['--help'] True\n", "")


def popen(folder: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command], cwd=folder, env={**ENVIRONMENT, "PYTHONPATH": f"{folder}:{ROOT}"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


# The process waits where it begins to import a module. Python imports this file by itself.
IMPORTING = """\
import signal, sys

def heard(name, arguments):
    if name == "import" and arguments[0] == "MODULE":
        print("importing", flush=True)
        signal.pause()

sys.addaudithook(heard)
"""
IMPORTED = {
    "generate": ("pipeline.stage", "numpy", "transformers"),
    "tune": ("pipeline.stage", "torch", "optuna"),
    "summarize": ("pipeline.stage", "numpy", "yaml"),
}

ENDS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "stopped")]


SHORT = {
    ("generate", 0, 2),
    ("generate", 2, 15),
    ("tune", 1, 15),
    ("summarize", 1, 2),
    ("summarize", 2, 15),
}


@pytest.mark.parametrize(
    ("name", "moment", "number", "status", "word"),
    [
        pytest.param(name, moment, *end, marks=[] if (name, moment, end[0]) in SHORT else pytest.mark.long)
        for name in IMPORTED for moment in range(3) for end in ENDS
    ],
)  # fmt: skip
def test_ended_while_it_imports(
    tmp_path: Path, name: str, moment: int, number: int, status: int, word: str
) -> None:
    """One line, whatever is being imported: the first module after the signals are listened for, and two large ones."""
    (tmp_path / "sitecustomize.py").write_text(IMPORTING.replace("MODULE", IMPORTED[name][moment]))
    process = popen(tmp_path, "-m", f"pipeline.{name}", *(["textgen"] if name != "summarize" else []))
    assert process.stdout is not None and process.stdout.readline() == "importing\n"
    process.send_signal(number)
    out, errors = process.communicate(timeout=LAST_RESORT)
    assert (process.returncode, out, errors) == (status, "", f"{word}; what is finished is kept\n")


@pytest.mark.parametrize(("number", "status", "word"), ENDS)
def test_ended_before_it_listens(tmp_path: Path, number: int, status: int, word: str) -> None:
    """The signal comes while the library's first module is looked for."""
    waits = IMPORTING.replace("MODULE", "random_routing.threads")
    (tmp_path / "sitecustomize.py").write_text(waits.replace("pause()", f"raise_signal({int(number)})"))
    process = popen(tmp_path, "-m", "pipeline.generate", "textgen")
    out, errors = process.communicate(timeout=LAST_RESORT)
    assert (process.returncode, out) == (status, "importing\n")
    assert errors == f"{word}; what is finished is kept\n"


def test_interrupted_before_it_reads_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(IMPORTING.replace("MODULE", "argparse"))
    process = popen(tmp_path, "-m", "pipeline.generate", "textgen")
    assert process.stdout is not None and process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=LAST_RESORT)
    assert (process.returncode, out, errors) == (130, "", "interrupted; what is finished is kept\n")


AT_WORK = """\
import signal, sys
from pipeline import stage
from random_routing import interrupt
interrupt.PATIENCE = 0.5
interrupt.listen()

class Held:
    def __del__(self):
        print("begun", flush=True)
        signal.pause()

def main(argv):
    try:
        if argv == ["in a destructor"]:
            Held()
            print("went on")
        print("begun", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        if argv == ["swallowed"]:
            signal.pause()
            print("went on")
        raise
    finally:
        print("closed", flush=True)
        if argv == ["slow to close"]:
            signal.pause()

stage.run(main)
"""


@pytest.mark.parametrize(("number", "status", "word"), ENDS)
@pytest.mark.parametrize("how", ["plain", "swallowed", "in a destructor", "slow to close", "twice"])
def test_ended_at_work(tmp_path: Path, how: str, number: int, status: int, word: str) -> None:
    """What is open is closed; a signal that a library swallows, or would lose, ends the stage too."""
    (tmp_path / "stage.py").write_text(AT_WORK)
    process = popen(tmp_path, "stage.py", how if how != "twice" else "slow to close")
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    process.send_signal(number)
    if how == "twice":
        assert process.stdout.readline() == "closed\n"
        process.send_signal(number)
    out, errors = process.communicate(timeout=LAST_RESORT)
    assert (process.returncode, errors) == (status, f"{word}; what is finished is kept\n")
    assert "went on" not in out and (how in ("swallowed", "in a destructor", "twice")) != ("closed" in out)


WORKERS = """\
import os, signal
from pipeline import stage
from random_routing import interrupt
from random_routing.runs.processes import in_processes

def load():
    return os.getpid()

def run(loaded, unit, on_step):
    print(loaded, flush=True)
    signal.pause()

def main(argv):
    list(in_processes(load, run, [1, 2], lambda count: None, workers=2))

if __name__ == "__main__":
    interrupt.listen()
    stage.run(main)
"""


def test_workers_end_without_a_word(tmp_path: Path) -> None:
    """A terminal sends Ctrl-C to all of its processes."""
    (tmp_path / "stage.py").write_text(WORKERS)
    process = subprocess.Popen(
        [sys.executable, "stage.py"], cwd=tmp_path, env=ENVIRONMENT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    workers = [int(process.stdout.readline()) for _ in range(2)]
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=LAST_RESORT)
    assert (process.returncode, errors) == (130, "interrupted; what is finished is kept\n")
    assert not [pid for pid in workers if Path(f"/proc/{pid}/cmdline").exists() and "stage" in cmdline(pid)]


def cmdline(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_one_line_where_the_library_would_say_more(fresh: Path, tmp_path: Path) -> None:
    """transformers reports weights that are missing, in a table of its own."""
    folder = Path(shutil.copytree(fresh, tmp_path / "work"))
    model = folder / "data/assets/one"
    weights = load_file(model / "model.safetensors")
    lost = next(name for name in weights if name.endswith("up_proj.weight"))
    weights.pop(lost)
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    asset = read_json(model / "asset.json")
    asset["files"]["model.safetensors"] = sha256_file(model / "model.safetensors")
    write_json(model / "asset.json", sealed(asset))
    ended = stage(folder, "pipeline.generate", "textgen")
    lines = [
        line for line in ended.stderr.splitlines() if line and "tok/s]" not in line
    ]  # the bar of what is to be done
    assert ended.returncode == 2 and lines == [lines[0]]
    assert lines[0].startswith("error: ") and f"1 weights are missing, {lost} among them" in lines[0]
