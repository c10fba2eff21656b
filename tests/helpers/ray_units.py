"""What Ray's workers do in tests. It imports little, as each of them, often lost and begun again, imports it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.helpers.waiting import until

Count = Callable[[int], None]


def load() -> int:
    return os.getpid()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def deadly(loaded: int, unit: int, on_step: Count) -> int:
    if unit == 3:
        die()
    return unit


def slow(loaded: int, unit: int, on_step: Count, folder: Path, told: Path) -> tuple[int, int]:
    """Says who it is, works until somebody has heard of any worker once more, and gives ten times the unit."""
    before = len(list(told.iterdir()))
    (folder / f"{unit}-{loaded}").touch()
    for _ in range(4):
        on_step(1)
    until(lambda: len(list(told.iterdir())) > before)
    return 10 * unit, loaded


def write_whole(path: Path, text: str) -> None:
    """For somebody who waits for the file, and reads it at once."""
    path.with_suffix(".part").write_text(text)
    path.with_suffix(".part").rename(path)


def slow_to_load(folder: Path) -> int:
    """Until it is told that it is."""
    until((folder / "loaded").exists)
    return os.getpid()


def waits(loaded: int, unit: int, on_step: Count, folder: Path) -> int:
    """Three steps; then it waits until somebody has heard of them."""
    on_step(3)
    until((folder / "told").exists)
    return unit


def load_and_tell() -> str:
    """The node that it is on."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    return node


def dies_twice(node: str, unit: int, on_step: Count, folder: Path) -> str:
    """The first waits for its node's end; the second kills its worker; the third lives."""
    attempts = len(list(folder.glob("attempt-*")))
    write_whole(folder / f"attempt-{attempts}", node)
    if attempts < 2:
        until((folder / "gone").exists)
        die()
    return node


def dies_before_it_is_ready(folder: Path) -> Path:
    """Every other time."""
    count = len(list(folder.iterdir()))
    (folder / f"{count}").touch()
    if count % 2 == 0:
        die()
    return folder


def dies_at_work_once(folder: Path, unit: int, on_step: Count) -> int:
    if len(list(folder.iterdir())) < 4:
        die()
    return unit
