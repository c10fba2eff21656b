"""A full disk and folders that may not be written: one clear line, status 2, nothing finished lost."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import LONG
from tests.helpers.attempts import Attempt, Counted, attempt, outputs
from tests.helpers.workspace import params, write_params

TASK = "textgen"
STAGES = ("prepare", "generate", "evaluate", "tune")


def stages(*others: str) -> pytest.MarkDecorator:
    """One test for each stage; those of the others are long."""
    marks = {name: [pytest.mark.long] if name in others else [] for name in STAGES}
    return pytest.mark.parametrize("stage", [pytest.param(name, marks=own) for name, own in marks.items()])


@pytest.fixture(scope="module")
def calm(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stage → a workspace that it has not run in yet, all before it have; and "end"."""
    folder = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("calm") / "work"))
    write_params(folder, params() | {"max_rows": 8})
    before = {}
    for stage in STAGES:
        before[stage] = Path(shutil.copytree(folder, folder.parent / stage / "work"))
        assert attempt(folder, stage, TASK).status == 0
    return before | {"end": folder}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system, in memory."""
    (place := tmp_path / "work").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system can only be mounted by root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


def leave(disk: Path, kib: int) -> None:
    """That much room."""
    used = shutil.disk_usage(disk).used
    remount(disk, f"size={used // 1024 + kib}k")


def after(calm: dict[str, Path], stage: str) -> dict[str, bytes]:
    """What the stage leaves when nothing is in its way."""
    return outputs(calm[following(stage)])


def following(stage: str) -> str:
    return [*STAGES, "end"][STAGES.index(stage) + 1]


def one_line(ended: Attempt) -> str:
    (line,) = ended.errors
    assert ended.status == 2 and line.startswith("error: ")
    return line


# Room, as shares of what an undisturbed run adds; less than one together, as what fits is kept.
SHARES = (0, 0.02, 0.15, 0.2, 0.3) if LONG else (0, 0.4)


def size(folder: Path) -> int:
    """KiB on a disk."""
    blocks = (path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    return sum(-(-size // 4096) * 4 for size in blocks)


@stages("evaluate", "tune")
def test_a_full_disk(calm: dict[str, Path], disk: Path, tmp_path: Path, stage: str) -> None:
    """Amounts of room that are too little: what was stored stays, more room ends with the same bytes."""
    work, log = Path(shutil.copytree(calm[stage], disk, dirs_exist_ok=True)), tmp_path / "keys"
    log.touch()
    added = size(calm[following(stage)]) - size(calm[stage])
    for kib in sorted({int(share * added) for share in SHARES}):
        leave(disk, kib)
        said = one_line(attempt(work, stage, TASK, first=[Counted(log)]))
        assert "disk is full" in said or "No space left on device" in said, said
        assert not list(work.glob("data/**/*.tmp"))
        remount(disk, "size=64m")
    assert attempt(work, stage, TASK, first=[Counted(log)]).status == 0
    assert set(Counter(log.read_text().split()).values()) <= {1}
    assert outputs(work) == after(calm, stage)


@stages("evaluate", "tune")
def test_a_folder_that_may_only_be_read(calm: dict[str, Path], disk: Path, stage: str) -> None:
    """The whole checkout on a file system mounted read-only."""
    work = Path(shutil.copytree(calm[stage], disk, dirs_exist_ok=True))
    remount(disk, "ro")
    said = one_line(attempt(work, stage, TASK))
    assert "Read-only file system" in said or "readonly database" in said, said
    remount(disk, "rw")
    assert attempt(work, stage, TASK).status == 0
    assert outputs(work) == after(calm, stage)


@pytest.mark.parametrize("stage", ["generate", pytest.param("evaluate", marks=pytest.mark.long)])
def test_data_that_may_only_be_read(calm: dict[str, Path], disk: Path, tmp_path: Path, stage: str) -> None:
    """`data/` alone: what was computed meanwhile is in the store and is not computed again."""
    work, log = Path(shutil.copytree(calm[stage], tmp_path / "whole/work")), tmp_path / "whole/keys"
    shutil.copytree(work / "data", disk, dirs_exist_ok=True)
    shutil.rmtree(work / "data")
    (work / "data").symlink_to(disk)
    remount(disk, "ro")
    said = one_line(attempt(work, stage, TASK, first=[Counted(log)]))
    assert f"data/{'generations' if stage == 'generate' else 'metrics'}" in said, said
    assert "Read-only file system" in said, said
    stored = log.read_text()
    remount(disk, "rw")
    assert attempt(work, stage, TASK, first=[Counted(log)]).status == 0
    assert log.read_text() == stored != ""
    (work / "data").unlink()
    shutil.copytree(disk, work / "data")
    assert outputs(work) == after(calm, stage)
