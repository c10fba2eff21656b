"""A workspace: a folder with the project's code, stages and a params.yaml of its own, where `dvc repro` works.

From a checkout it is a clone of the checkout's commit, which shares DVC's cache and the finished texts beside it. An
installed package has the project's files with it, and workspaces beside each other share a cache. What a person has
changed in one is kept: nothing is written into a folder that is no workspace, nor over edits or commits.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import random_routing
from random_routing.errors import PipelineError, short
from random_routing.files import read_json, sha256_file, write_json, write_text
from random_routing.progress import say

PACKAGE = Path(random_routing.__file__).parent
PROJECT = PACKAGE / "project"  # in an installed package: what the wheel takes along (pyproject.toml)
AUTHOR = "random-routing"
MARK = ".random-routing.json"  # makes a folder a workspace; holds the hash of the params.yaml that was written last
INPUTS = "inputs"  # data of a person's own, by content
CACHE = ".random-routing-cache"  # beside the workspaces of an installed package
OWN = ("params.yaml", "dvc.lock", "reports")  # what a run writes


def checkout() -> Path | None:
    """Of the project that this package runs from; None: it is installed."""
    above = PACKAGE.parent
    return above if (above / "dvc.yaml").exists() and (above / ".git").exists() else None


def project_file(name: str) -> Path:
    """A file of the project, such as params.yaml."""
    source = checkout() or PROJECT
    if not (source / "dvc.yaml").exists():
        raise PipelineError(
            f"{PACKAGE.parent}: is neither a Git checkout of the project nor an installed package"
        )
    return source / name


def dvc() -> str:
    """DVC of the Python that runs this."""
    return str(Path(sys.executable).parent / "dvc")


def make_workspace(folder: Path, params: str) -> None:
    """Make it, or go on in it. Raises `PipelineError`, before anything is written, for a folder that is something else,
    or whose params.yaml was edited by hand and differs.
    """
    file = folder / "params.yaml"
    new = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not new and not (folder / MARK).is_file():
        raise PipelineError(f"{folder}: is there, and is no workspace")
    edited = not new and file.exists() and sha256_file(file) != read_json(folder / MARK)["params"]
    if edited and file.read_text(encoding="utf-8") != params:
        raise PipelineError(
            f"{file}: was edited since it was written; run `dvc repro` in {folder}, or choose another --folder"
        )
    here = checkout()
    if not new and not _untouched(folder, here):
        say("run", f"{folder} has code or commits of its own, which stay")
    else:
        try:
            _clone(here, folder, new) if here else _copy(folder, new)
        except BaseException:
            if new:  # half of a workspace is none
                shutil.rmtree(folder, ignore_errors=True)
            raise
    write_text(file, params)
    write_json(folder / MARK, {"params": sha256_file(file)})


def _untouched(folder: Path, here: Path | None) -> bool:
    """Whether its code is as it was made, so that a newer one may take its place."""
    others = [f":(exclude){name}" for name in OWN]
    changed = _run("git", "status", "--porcelain", "--", ".", *others, cwd=folder)
    if here:
        head = _run("git", "rev-parse", "HEAD", cwd=folder).strip()
        known = subprocess.run(["git", "cat-file", "-e", head], cwd=here, capture_output=True, check=False)
        return not changed and known.returncode == 0
    return not changed and _run("git", "log", "-1", "--format=%an", cwd=folder).strip() == AUTHOR


def _clone(here: Path, folder: Path, new: bool) -> None:
    if new:
        _run("git", "clone", "--quiet", "--shared", here, folder)
        (folder / ".git/info/exclude").write_text(f"/{MARK}\n/{INPUTS}/\n", encoding="utf-8")
        shutil.rmtree(folder / "reports", ignore_errors=True)  # of the checkout's own run
    _run("git", "fetch", "--quiet", here, "HEAD", cwd=folder)
    if _run("git", "rev-parse", "FETCH_HEAD", cwd=folder) != _run("git", "rev-parse", "HEAD", cwd=folder):
        with _kept(folder):
            _run("git", "checkout", "--quiet", "--force", "--detach", "FETCH_HEAD", cwd=folder)
    cache = _run(dvc(), "cache", "dir", cwd=here).strip()
    _run(dvc(), "cache", "dir", "--local", (here / cache).resolve(), cwd=folder)
    _run(dvc(), "config", "--local", "cache.type", "reflink,hardlink,copy", cwd=folder)


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """What a run has written is afterwards as it was, whatever becomes of the code."""
    with tempfile.TemporaryDirectory() as aside:
        for name in OWN:
            _copy_all(folder / name, Path(aside) / name)
        try:
            yield
        finally:
            shutil.rmtree(folder / "reports", ignore_errors=True)
            for name in OWN:
                _copy_all(Path(aside) / name, folder / name)


def _copy_all(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        shutil.copy2(source, target)


def _copy(folder: Path, new: bool) -> None:
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    (folder / "python").chmod(0o755)  # an archive may have lost it
    without = shutil.ignore_patterns("project", "__pycache__")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=without, dirs_exist_ok=True)
    if new:
        _run("git", "init", "--quiet", cwd=folder)
        (folder / ".git/info/exclude").write_text(f"/{MARK}\n/{INPUTS}/\n", encoding="utf-8")
        _run(dvc(), "init", cwd=folder)  # quiet, it would not say what is wrong
        _run(dvc(), "cache", "dir", "--local", (folder.parent / CACHE).resolve(), cwd=folder)
    _run("git", "add", "--all", cwd=folder)
    me = ("-c", f"user.name={AUTHOR}", "-c", f"user.email={AUTHOR}@localhost")
    _run("git", *me, "commit", "--quiet", "--allow-empty", "--message", "The project's code", cwd=folder)


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PipelineError(f"{command[0]}: is not installed") from None
    if done.returncode:
        said = short(done.stderr.strip() or done.stdout.strip())
        raise PipelineError(f"{' '.join(map(str, command[:2]))}: {said}")
    return done.stdout
