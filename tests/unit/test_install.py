"""The package installs: a wheel with all its data, and the processor from a folder that knows no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

import random_routing
from random_routing.report.page.build import SCRIPT
from tests.helpers import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_holds_the_library_and_what_a_workspace_is_made_of(wheel: Path) -> None:
    library = ROOT / "random_routing"
    files = {
        str(path.relative_to(ROOT))
        for path in library.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    with ZipFile(wheel) as packed:
        packed_files = {name for name in packed.namelist() if ".dist-info/" not in name}
    stages = {str(path.relative_to(ROOT)) for path in (ROOT / "pipeline").glob("*.py")}
    project = {"dvc.yaml", "params.yaml", "python", ".dvcignore", ".gitignore"} | stages
    assert packed_files == files | {f"random_routing/project/{name}" for name in project}
    scripts = {f"script/{name}.js" for name in SCRIPT}
    assert {f"random_routing/report/page/{name}" for name in {"page.css", "page.html"} | scripts} <= files


def elsewhere(wheel: Path, folder: Path, code: str) -> str:
    """What `code` prints in a folder that has the installed package on its path and no checkout."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--target",
        str(folder / "site"),
    ]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_the_processor_needs_no_checkout(wheel: Path, tmp_path: Path) -> None:
    """0.5 of a half each for two tokens, 0.5 of the likeliest: 0.75, 0.25."""
    code = """
import sys
import random_routing
print("torch" in sys.modules, "numpy" in sys.modules, random_routing.__file__)
import numpy as np, torch
from random_routing import Base, RandomRoutingLogitsProcessor, Vocabulary
two = Vocabulary(3, np.array([0, 1]), frozenset({2}))
routing = RandomRoutingLogitsProcessor(two, q=0.5, base=Base(greedy=True))
print(routing(torch.empty(1, 0), torch.tensor([[2.0, 1.0, 0.0]])).exp().tolist())
print(all(hasattr(random_routing, name) for name in random_routing.__all__))
"""
    first, law, complete = elsewhere(wheel, tmp_path, code).splitlines()
    assert (
        first == f"False False {tmp_path / 'site/random_routing/__init__.py'}"
    )  # importing it loads nothing else
    assert law == "[[0.75, 0.25, 0.0]]" and complete == "True"


def test_an_installed_package_makes_a_workspace(wheel: Path, tmp_path: Path) -> None:
    """With stages, code and parameters of its own; a second call writes over it."""
    code = """
from random_routing.commands.app import main
for q in "0.1", "0.2":
    try:
        main(["run", "--task", "dialogue", "--q", "0", q, "--folder", "runs/own", "--only-write"])
    except SystemExit as ended:
        print(ended.code)
"""
    said = elsewhere(wheel, tmp_path, code).splitlines()
    assert said[1::2] == ["0", "0"] and said[0].startswith(
        "run: runs/own/params.yaml is written; `dvc repro`"
    )
    work = tmp_path / "runs/own"
    raw = yaml.safe_load((work / "params.yaml").read_text(encoding="utf-8"))
    assert raw["grid"]["q"] == [0, 0.2] and list(raw["tasks"]) == ["dialogue"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for command, line in (
        ([sys.executable, "-m", "pipeline.check"], "check: params.yaml is well formed; cells dialogue"),
        ([sys.executable, "-m", "dvc", "stage", "list", "--name-only"], "generate@dialogue"),
        ([sys.executable, "-m", "dvc", "cache", "dir"], str(tmp_path / "runs/.random-routing-cache")),
        (["git", "status", "--porcelain"], " M params.yaml"),
    ):
        done = subprocess.run(
            command, cwd=work, env=environment, check=True, capture_output=True, text=True
        )
        assert line in done.stdout, command


def test_the_front_door() -> None:
    assert set(random_routing.__all__) == set(random_routing.HOMES)
    with pytest.raises(
        AttributeError, match="module 'random_routing' has no attribute 'ProcessorOfRandomRouting'"
    ):
        _ = random_routing.ProcessorOfRandomRouting


def test_every_document_names_the_same_version() -> None:
    version = PROJECT["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
