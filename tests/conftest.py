"""Workspaces that several test files start from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline import generate
from tests.workspace import inside, make_workspace


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose generations are complete."""
    folder = make_workspace(tmp_path_factory.mktemp("finished"))
    with inside(folder):
        for task in ("textgen", "dialogue", "translation"):
            generate.main([task])
    return folder


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(finished, tmp_path / "work"))
