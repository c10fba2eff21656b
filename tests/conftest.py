"""Workspaces that several test files start from, and how tests share the processor."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # of what the tests start, too: others are at work
if "PYTEST_XDIST_WORKER" in os.environ:  # a core for each process; before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from pipeline import generate
from tests.helpers.workspace import inside, make_workspace

# A shell's background job ignores Ctrl-C, and so would every stage that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No generated test fails, nor is cut short, because the machine is busy.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

# These begin, in this order, so that no process is left alone with one at the end; the other file with Ray
# comes later, when this one's clusters are gone.
FIRST = [
    "end_to_end", "real_models", "ray", "architectures", "surroundings", "interruptions", "odd_settings", "figures",
    "losses",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        name = item.path.stem.removeprefix("test_")
        return FIRST.index(name) if name in FIRST else len(FIRST)

    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=place)


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that is prepared. To copy."""
    return make_workspace(tmp_path_factory.mktemp("fresh") / "work")


@pytest.fixture(scope="session")
def finished(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose generations are complete."""
    folder = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("finished") / "work"))
    with inside(folder):
        for task in ("textgen", "dialogue", "translation"):
            generate.main([task])
    return folder


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(finished, tmp_path / "work"))
