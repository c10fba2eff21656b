"""The real pipeline on the real models: `dvc repro` in a clone, with a mini-grid, all three tasks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.real


def run(clone: Path, *command: str, status: int = 0) -> str:
    result = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=1500)
    output = result.stdout + result.stderr
    assert result.returncode == status or (status and result.returncode), output[-4000:]
    return output


def change(clone: Path, **paths: Any) -> None:
    """change(clone, grid__q=[0]) sets grid.q in the clone's params.yaml."""
    params = yaml.safe_load((clone / "params.yaml").read_text())
    for path, value in paths.items():
        *parents, last = path.split("__")
        section = params
        for name in parents:
            section = section[name]
        section[last] = value
    (clone / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def parquet(clone: Path) -> dict[str, Any]:
    files = sorted((clone / "data/generations").glob("*/*.parquet"))
    return {str(f.relative_to(clone)): pq.read_table(f).to_pydict() for f in files}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the working tree with few examples, and its first full run."""
    clone = tmp_path_factory.mktemp("clone") / "project"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    run(clone, "git", "init", "--quiet")
    run(clone, "git", "add", "--all")
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    run(clone, "git", *identity, "commit", "--quiet", "--message", "clone")
    if (ROOT / "data/assets").is_dir():  # spare the download where the assets are there, hash-checked
        shutil.copytree(ROOT / "data/assets", clone / "data/assets")
        run(clone, "dvc", "commit", "--force", "--quiet", *_fetch_stages(clone))
    change(clone, grid__q=[0, 0.1], grid__lambda=[0, 0.1], bootstrap__resamples=100)
    change(clone, baselines={"greedy": True, "temperature": [0.7, 1.0], "top_k": [10], "top_p": [0.9]})
    for task in ("textgen", "dialogue", "translation"):
        change(clone, **{f"tasks__{task}__examples": 4, f"tasks__{task}__max_new_tokens": 10})
    run(clone, "dvc", "repro")
    return clone


def _fetch_stages(clone: Path) -> list[str]:
    return [f"fetch@{name}" for name in yaml.safe_load((clone / "params.yaml").read_text())["assets"]]
