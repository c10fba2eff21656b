"""`random-routing`: help, one line on wrong arguments, and workspaces of a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from random_routing.commands import workspace
from random_routing.commands.app import COMMANDS, main
from random_routing.commands.workspace import checkout, make_workspace
from random_routing.errors import PipelineError
from tests.helpers import ROOT
from tests.helpers.workspace import make_sources, params, write_params

CALL = [sys.executable, "-m", "random_routing"]


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run([*CALL, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and said.startswith(f"usage: random-routing {command}".strip())
    assert "exit status: 0 done" in said
    assert (
        all(f"\n    {name} " in said for name in COMMANDS)
        if not command
        else f"random-routing {command}" in said
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "error: random-routing: the following arguments are required: command"),
        (["fly"], "error: random-routing: argument command: invalid choice: 'fly'"),
        (["run"], "error: random-routing run: the following arguments are required: --task"),
        (["run", "--task", "dialogue", "--q", "x"], "argument --q: invalid float value: 'x'"),
        (
            ["run", "--task", "dialogue", "--field", "reply"],
            "argument --field: reply: must be field=column",
        ),
        (["run", "--task", "dialogue", "--params", "no.yaml"], "error: --params no.yaml: is no file"),
        (["power", "1"], "argument prompts: 1: must be a whole number of at least 2"),
        (["power", "64", "1e3"], "argument prompts: 1e3: must be a whole number of at least 2"),
        (["compare", "one"], "the following arguments are required: B"),
        (["check"], "error: params.yaml: "),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = call(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr
    assert done.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


def test_check_counts_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    done = call(tmp_path, "check")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) >= 3
    assert lines[0] == "check: textgen: 33 cells of 28 distinct decoders, 1,792 texts"
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_checkout_s_workspace_is_a_clone_with_its_cache(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    work = tmp_path / "work"
    work.mkdir()  # an empty folder will do
    for seed in (1, 2):
        values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")) | {"seed": seed}
        make_workspace(work, str(yaml.safe_dump(values)))
        assert yaml.safe_load((work / "params.yaml").read_text(encoding="utf-8"))["seed"] == seed
    head = [
        subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True).stdout
        for folder in (ROOT, work)
    ]
    assert checkout() == ROOT and head[0] == head[1]
    dvc = [sys.executable, "-m", "dvc", "cache", "dir"]
    found = [
        subprocess.run(dvc, cwd=f, check=True, capture_output=True, text=True).stdout for f in (ROOT, work)
    ]
    assert (ROOT / found[0].strip()).resolve() == Path(found[1].strip())

    assert not list((work / "reports").glob("*"))  # of another run


def git(folder: Path, *arguments: str) -> str:
    me = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    command = ["git", *me, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    """Also one with a pipeline of DVC's, and one inside of somebody's repository."""
    git(tmp_path, "init", "--quiet")
    for name in ("notes.txt", "dvc.yaml", "params.yaml"):
        (tmp_path / name).write_text("mine: 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "mine")
    (tmp_path / "notes.txt").write_text("not saved")
    before = files(tmp_path)
    for folder in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(PipelineError, match="is there, and is no workspace"):
            make_workspace(folder, "")
    assert files(tmp_path) == before
    (tmp_path / "run").mkdir()
    make_workspace(tmp_path / "run", "seed: 1\n")
    assert {name: value for name, value in files(tmp_path).items() if "/run/" not in name} == before
    assert (tmp_path / "run/.git").exists() and (tmp_path / "run/pipeline/check.py").exists()


def test_what_a_person_has_changed_in_a_workspace_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    make_workspace(work, "seed: 1\n")
    (work / "params.yaml").write_text("seed: 7\n")
    with pytest.raises(PipelineError, match="was edited since it was written; run `dvc repro` in"):
        make_workspace(work, "seed: 2\n")
    assert (work / "params.yaml").read_text() == "seed: 7\n"
    make_workspace(work, "seed: 7\n")  # what it says already
    make_workspace(work, "seed: 2\n")
    code = work / "pipeline/check.py"
    code.write_text("# mine\n")
    make_workspace(work, "seed: 3\n")
    assert code.read_text() == "# mine\n" and (work / "params.yaml").read_text() == "seed: 3\n"
    git(work, "commit", "--quiet", "--all", "--message", "mine")
    make_workspace(work, "seed: 4\n")
    assert git(work, "log", "-1", "--format=%s").strip() == "mine"
    assert capsys.readouterr().out.count("has code or commits of its own, which stay") == 2


def test_newer_code_leaves_what_a_run_has_written(tmp_path: Path) -> None:
    work = tmp_path / "work"
    if git(ROOT, "rev-list", "--count", "HEAD").strip() == "1":
        pytest.skip("a clone of one commit")
    make_workspace(work, "seed: 1\n")
    git(work, "checkout", "--quiet", "--force", "--detach", "HEAD~1")  # as made by an older checkout
    shutil.rmtree(work / "reports", ignore_errors=True)
    (work / "reports").mkdir()
    own = {"reports/findings.md": "mine", "dvc.lock": "lock", "params.yaml": "seed: 1\n"}
    for name, text in own.items():
        (work / name).write_text(text)
    make_workspace(work, "seed: 1\n")
    assert git(work, "rev-parse", "HEAD") == git(ROOT, "rev-parse", "HEAD")
    assert {name: (work / name).read_text() for name in own} == own
    assert [path.name for path in (work / "reports").iterdir()] == ["findings.md"]


def test_half_of_a_workspace_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "dvc", lambda: "no-such-program")
    with pytest.raises(PipelineError, match="no-such-program: is not installed"):
        make_workspace(tmp_path / "work", "seed: 1\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_run_of_a_model_and_data_of_one_s_own(tmp_path: Path) -> None:
    """From a base file whose paths start at its own folder; the same call again finds everything."""
    make_sources(tmp_path)
    base = params()
    write_params(tmp_path, base)
    arguments = [
        "run", "--params", str(tmp_path / "params.yaml"), "--task", "textgen", "--model", str(tmp_path / "models/two"),
        "--judge", "one", "--q", "0", "0.2", "--examples", "4", "--folder", "work",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = []
    for _ in range(2):
        done = subprocess.run(
            [*CALL, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        said.append(done.stdout)
    assert "[1 of " in said[0] and "Does random routing help?" in said[0]
    assert "Running stage 'generate" in said[0] and "Running stage 'generate" not in said[1]
    made = {path.stem for path in (tmp_path / "work/data/generations/textgen").glob("routing-*")}
    assert made == {f"routing-plausible-q{q}-l{lam}" for q in ("0", "0.2") for lam in ("0", "0.1")}
    assert (tmp_path / "work/reports/index.html").exists()
    (weights,) = (tmp_path / "work/data/assets/own-model").glob("*.safetensors")
    assert weights.stat().st_nlink > 1 or weights.stat().st_dev != ROOT.stat().st_dev  # not a second copy
