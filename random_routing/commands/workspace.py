"""A workspace: a folder with the project's code, stages and a params.yaml of its own, where `dvc repro` works.

From a checkout it is a clone of the checkout's commit, which shares DVC's cache and the finished texts beside it. An
installed package has the project's files with it, and workspaces beside each other share a cache.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import random_routing
from random_routing.errors import PipelineError, short
from random_routing.files import write_text

PACKAGE = Path(random_routing.__file__).parent
PROJECT = PACKAGE / "project"  # in an installed package: what the wheel takes along (pyproject.toml)
AUTHOR = ("-c", "user.name=random-routing", "-c", "user.email=random-routing@localhost")


def checkout() -> Path | None:
    """Of the project that this package runs from; None: it is installed."""
    above = PACKAGE.parent
    return above if (above / "dvc.yaml").exists() and (above / ".git").exists() else None


def project_file(name: str) -> Path:
    """A file of the project, such as params.yaml."""
    return (checkout() or PROJECT) / name


def dvc() -> str:
    """DVC of the Python that runs this."""
    return str(Path(sys.executable).parent / "dvc")


def make_workspace(folder: Path, params: str) -> None:
    """Make it, or bring it up to date. Raises `PipelineError` for a folder that is something else."""
    if (
        folder.exists()
        and not (folder / "dvc.yaml").is_file()
        and (not folder.is_dir() or any(folder.iterdir()))
    ):
        raise PipelineError(f"{folder}: is there, and is no workspace")
    here = checkout()
    if here:
        _clone(here, folder)
        write_text(folder / "params.yaml", params)
    else:
        _copy(folder, params)


def _clone(here: Path, folder: Path) -> None:
    if not folder.exists():
        _run("git", "clone", "--quiet", "--shared", here, folder)
    _run("git", "fetch", "--quiet", here, "HEAD", cwd=folder)
    _run("git", "checkout", "--quiet", "--force", "--detach", "FETCH_HEAD", cwd=folder)
    cache = _run(dvc(), "cache", "dir", cwd=here).strip()
    _run(dvc(), "cache", "dir", "--local", (here / cache).resolve(), cwd=folder)


def _copy(folder: Path, params: str) -> None:
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    (folder / "python").chmod(0o755)  # an archive may have lost it
    without = shutil.ignore_patterns("project", "__pycache__")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=without, dirs_exist_ok=True)
    if not (folder / ".git").exists():
        _run("git", "init", "--quiet", cwd=folder)
        _run(dvc(), "init", "--quiet", "--force", cwd=folder)
    _run(dvc(), "cache", "dir", "--local", (folder.parent / ".cache").resolve(), cwd=folder)
    write_text(folder / "params.yaml", params)
    _run("git", "add", "--all", cwd=folder)
    _run(
        "git", *AUTHOR, "commit", "--quiet", "--allow-empty", "--message", "random-routing run", cwd=folder
    )


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PipelineError(f"{command[0]}: is not installed") from None
    if done.returncode:
        said = short(done.stderr.strip() or done.stdout.strip())
        raise PipelineError(f"{' '.join(map(str, command[:2]))}: {said}")
    return done.stdout
