"""Units handed to processes: every result arrives once, errors and deaths are clear."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from random_routing.errors import PipelineError
from random_routing.runs.processes import in_processes
from tests.helpers import ROOT
from tests.helpers.process_units import load, run
from tests.helpers.waiting import until


@pytest.mark.parametrize("workers", [1, 2, pytest.param(3, marks=pytest.mark.long)])
def test_every_unit_once(workers: int) -> None:
    steps: list[int] = []
    found = list(in_processes(load, run, range(7), steps.append, workers))
    assert sorted(found) == [10 * i for i in range(7)] and sum(steps) == 7


def test_one_unit_needs_no_other_process() -> None:
    assert list(in_processes(os.getpid, where, iter([4]), lambda count: None, 2)) == [os.getpid()]
    assert not list(in_processes(os.getpid, where, iter([]), lambda count: None, 2))


def where(loaded: int, unit: int, on_step: Callable[[int], None]) -> int:
    return loaded


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_unit_arrives(workers: int) -> None:
    with pytest.raises(PipelineError, match="unit 66 is bad"):
        list(in_processes(load, run, [1, 66, 2], lambda count: None, workers))


def test_a_worker_that_dies_is_reported_and_finished_units_are_kept() -> None:
    kept = []
    with pytest.raises(PipelineError, match="a worker process was stopped"):
        for result in in_processes(load, run, [1, 2, 3, 99, 4], lambda count: None, 2):
            kept.append(result)
    assert len(kept) >= 2 and set(kept) <= {10, 20, 30, 40}


def size(loaded: int, unit: bytes, on_step: Callable[[int], None]) -> int:
    return len(unit)


def load_badly() -> int:
    raise PipelineError("no weights here")


def test_why_no_worker_loads_arrives_while_a_large_unit_is_sent() -> None:
    """More than a pipe holds: the parent is still writing when the worker ends."""
    with pytest.raises(PipelineError, match="no weights here"):
        list(in_processes(load_badly, size, [bytes(10**7)] * 2, lambda count: None, 2))


def test_workers_end_with_their_parent() -> None:
    """kill -9 of the parent: a worker that waits for its next unit stops by itself."""
    code = (
        "import signal\n"
        "from random_routing.runs.processes import in_processes\n"
        "from tests.helpers.process_units import load, run\n"
        "if __name__ == '__main__':\n"
        "    results = in_processes(load, run, iter([1, 2, 3, 4]), lambda count: None, 2)\n"
        "    next(results)\n"
        "    import multiprocessing\n"
        "    print(*[p.pid for p in multiprocessing.active_children()], flush=True)\n"
        "    signal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    children = [int(number) for number in parent.stdout.readline().split()]
    assert len(children) == 2
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until(lambda: not any(alive(child) for child in children), "a worker")


def alive(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False
