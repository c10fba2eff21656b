"""DVC's commands find the Python that has the packages, wherever DVC runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers import ROOT

NONE = (
    f"{Path(shutil.which('git') or '/usr/bin/git').parent}:/usr/bin:/bin"  # no environment of the project
)


def run(folder: Path, *command: str, path: str = NONE) -> str:
    environment = {**os.environ, "PATH": path}
    environment.pop("VIRTUAL_ENV", None)
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stage check needs, committed, and an environment that is not."""
    folder = tmp_path_factory.mktemp("with space") / "check é out"
    for name in ("params.yaml", "python", "dvc.yaml", ".gitignore"):
        folder.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, folder)
    for name in ("pipeline", "random_routing"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / ".gitignore").write_text(".venv\n__pycache__/\n")
    run(folder, "git", "init", "-q")
    run(folder, ".venv/bin/python", "-m", "dvc", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "one")
    return folder


def test_stages_are_run_by_it() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name, stage in stages.items():
        assert stage.get("do", stage)["cmd"].startswith(f"./python -m pipeline.{name}")
    assert os.access(ROOT / "python", os.X_OK)


def test_dvc_by_its_path_alone(checkout: Path) -> None:
    """No `python` on the PATH that has the packages, and no activated environment."""
    dvc = str(checkout / ".venv/bin/dvc")
    assert "check: params.yaml is well formed" in run(checkout, dvc, "repro", "check")


def test_temporary_workspaces(checkout: Path) -> None:
    """They are clones inside of the checkout, without what git does not know."""
    plain = checkout.parent / "plain"  # DVC itself cannot make one where the path has other letters
    shutil.copytree(checkout, plain, symlinks=True)
    dvc = str(plain / ".venv/bin/dvc")
    said = run(plain, dvc, "exp", "run", "--temp", "-S", "seed=5", "check")
    assert "check: params.yaml is well formed" in said


def test_without_an_environment_it_is_that_of_the_path(tmp_path: Path) -> None:
    for name, path in (("python", "a"), ("python3", "b")):
        (tmp_path / path).mkdir()
        (tmp_path / path / name).write_text('#!/bin/sh\necho "$0 $*"\n')
        (tmp_path / path / name).chmod(0o755)
    (tmp_path / "work").mkdir()
    script = str(ROOT / "python")
    for path, name in (("a", "a/python"), ("b", "b/python3"), ("a:{0}/b", "a/python")):
        there = f"{tmp_path}/{path.format(tmp_path)}"
        said = run(tmp_path / "work", "/bin/sh", script, "-m", "x y", path=there)
        assert said == f"{tmp_path}/{name} -m x y\n"
