"""Stages in processes of their own that may be killed: forked from a server that has imported all, so in 0.1 s."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

import pipeline.evaluate
import pipeline.generate
import pipeline.prepare
import pipeline.summarize
import pipeline.tune  # noqa: F401 - all of them for those who fork
from pipeline import stage
from random_routing.runs.store import Store
from tests.helpers import ROOT
from tests.helpers.waiting import LAST_RESORT, until
from tests.helpers.workspace import inside

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.helpers.attempts"])
WRITES = ("BEGIN", "INSERT", "COMMIT")  # of SQL
FILES = ("os.rename", "os.remove", "os.mkdir", "os.truncate")  # audited by Python
Prepare = Callable[[], None]


@dataclass
class Attempt:
    """A stage at work in a process; its output goes to files."""

    process: ForkServerProcess
    folder: Path
    log: Path = field(default=Path())

    def end(self) -> Attempt:
        self.process.join(LAST_RESORT)
        assert self.process.exitcode is not None, f"{self.log} hangs"
        return self

    @property
    def status(self) -> int | None:
        """As of `subprocess`: −9 where it was killed."""
        return self.process.exitcode

    @property
    def out(self) -> str:
        return self.log.with_suffix(".out").read_text(encoding="utf-8", errors="replace")

    @property
    def errors(self) -> list[str]:
        """What was written to stderr, without bars of progress."""
        text = self.log.with_suffix(".err").read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if line and "it/s" not in line and "%|" not in line]


def start(folder: Path, module: str, *argv: str, first: Sequence[Prepare] = ()) -> Attempt:
    """first: called in the process before the stage, such as `Killed(…)`. Output goes beside `folder`."""
    number = len(list(folder.parent.glob("*.out")))
    log = folder.parent / f"{number:03}-{module}"
    log.with_suffix(".out").touch()
    process = SERVER.Process(target=_run, args=(folder, module, argv, tuple(first), log))
    with inside(ROOT):  # where the server finds the packages to import
        process.start()
    return Attempt(process, folder, log)


def attempt(folder: Path, module: str, *argv: str, first: Sequence[Prepare] = ()) -> Attempt:
    return start(folder, module, *argv, first=first).end()


def _run(folder: Path, module: str, argv: tuple[str, ...], first: tuple[Prepare, ...], log: Path) -> None:
    for number, suffix in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(log.with_suffix(suffix), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(folder)
    torch.set_num_threads(1)
    sys.argv = [module, *argv]
    for step in first:
        step()
    stage.run(import_module(f"pipeline.{module}").main)


def events(on_event: Callable[[str], object]) -> None:
    """Tell of every write in this folder that could be cut off: a file opened to be written, moved, removed; a folder
    made; a statement that changes the store. From now on, for good. Python's own caches are elsewhere.
    """
    here = os.getcwd()

    def heard(name: str, arguments: tuple[Any, ...]) -> None:
        if name != "open" and name not in FILES:
            return
        path = arguments[0]
        if not isinstance(path, (str, Path)) or (os.path.isabs(path) and not str(path).startswith(here)):
            return
        if name != "open":
            on_event(name)
        elif arguments[2] & (os.O_WRONLY | os.O_RDWR):
            on_event("write")

    made = Store.__init__

    def init(self: Store, path: Path) -> None:
        made(self, path)
        self.database.set_trace_callback(
            lambda sql: on_event(sql.split()[0]) if sql.startswith(WRITES) else None
        )

    Store.__init__ = init  # type: ignore[method-assign, assignment]
    sys.addaudithook(heard)


@dataclass(frozen=True)
class Killed:
    """`kill -9` right before the nth event (from 0) of a kind."""

    kind: str
    nth: int

    def __call__(self) -> None:
        seen = 0

        def on_event(kind: str) -> None:
            nonlocal seen
            if kind == self.kind:
                seen += 1
                if seen > self.nth:
                    os.kill(os.getpid(), signal.SIGKILL)

        events(on_event)


@dataclass(frozen=True)
class Counted:
    """Appends the key of every value to a file once it is in the store."""

    log: Path

    def __call__(self) -> None:
        put, file = Store.put, os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def counted(store: Store, items: dict[bytes, bytes]) -> None:
            put(store, items)
            os.write(file, "".join(f"{key.hex()}\n" for key in items).encode())

        Store.put = counted  # type: ignore[assignment, method-assign]


@dataclass(frozen=True)
class Listed:
    """Appends the kind of every event to a file."""

    log: Path

    def __call__(self) -> None:
        file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        events(lambda kind: os.write(file, f"{kind}\n".encode()))


@dataclass(frozen=True)
class Held:
    """No put begins before an output in the folder says something."""

    folder: Path
    said: str

    def __call__(self) -> None:
        put = Store.put

        def held(store: Store, items: dict[bytes, bytes]) -> None:
            until(
                lambda: any(
                    self.said in path.read_text(errors="replace") for path in self.folder.glob("*.out")
                )
            )
            put(store, items)

        Store.put = held  # type: ignore[assignment, method-assign]


@dataclass(frozen=True)
class Clock:
    """The time of day is another, and goes on from there."""

    start: float

    def __call__(self) -> None:
        real = time.time
        shift = self.start - real()
        time.time = lambda: real() + shift


def outputs(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below `data/` and `reports/` that a run makes, but for what names time and machine."""
    found = [path for top in ("data", "reports") for path in (folder / top).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if path.parent.name != "cost" and "assets" not in path.parts
    }
