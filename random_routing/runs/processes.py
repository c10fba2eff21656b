"""Work in several processes: each holds a model, takes a unit, gives back its result, takes the next.

What a unit yields does not depend on which process ran it, so neither order nor number matters.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import cache
from itertools import chain, islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, TypeVar

import torch

from random_routing import interrupt
from random_routing.errors import PipelineError

Loaded = TypeVar("Loaded")
Unit = TypeVar("Unit")
Result = TypeVar("Result")

POLL = 0.2  # seconds between two looks at how many steps the workers have made
_call: Callable[[Any], Any]  # in a worker: what it does with a unit


def in_processes(
    load: Callable[[], Loaded],
    run: Callable[[Loaded, Unit, Callable[[int], None]], Result],
    units: Iterable[Unit],
    on_step: Callable[[int], None],
    workers: int,
) -> Iterator[Result]:
    """run(load(), unit, on_step) of every unit, in the order in which they finish.

    With one worker, or one unit, all happens in this process. `load`, `run` and units must be picklable for more.
    Raises `PipelineError` when a worker ends before its unit does.
    """
    left = iter(units)
    first = list(islice(left, 2))
    left = chain(first, left)
    if workers == 1 or len(first) < 2:
        loaded = load()
        for unit in left:
            yield run(loaded, unit, on_step)
        return
    context = multiprocessing.get_context("spawn")
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")  # of what a second Ctrl-C leaves
    resource_tracker.ensure_running()  # whose start would let Ctrl-C through to what is started with it
    steps, (reader, writer) = context.Value("q"), context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, _begin, (load, run, steps, threads, reader))
    busy, shown = set[Future[Result]](), 0
    try:
        while True:
            for unit in islice(left, workers - len(busy)):
                with interrupt.held():  # it may start a process
                    busy.add(pool.submit(_run, unit))
            if not busy:
                return
            done, busy = wait(busy, POLL, FIRST_COMPLETED)
            counted = steps.get_obj().value  # without the lock, which a worker that was killed may hold
            if counted > shown:
                on_step(counted - shown)
                shown = counted
            yield from _results(done)
    except BrokenProcessPool:
        raise PipelineError(
            "a worker process was stopped (out of memory?); what is finished is kept, run it again"
        ) from None
    finally:
        writer.close()  # ends the workers, idle or not
        pool.shutdown(cancel_futures=True)


def _results(done: set[Future[Result]]) -> Iterator[Result]:
    """What there is comes first, so that it is kept; then what went wrong in a worker is raised."""
    for future in sorted(done, key=lambda future: future.exception() is not None):
        try:
            result = future.result()
        except (PipelineError, BrokenProcessPool):
            raise
        except Exception as error:
            raise PipelineError(f"a worker failed: {type(error).__name__}: {error}") from error
        yield result


def _begin(
    load: Callable[[], Any], run: Callable[..., Any], steps: Any, threads: int, parent: Connection
) -> None:
    """Of a worker. It loads with its first unit: what an initializer raises is lost."""
    global _call
    Thread(target=_end_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(threads)
    loaded = cache(load)

    def on_step(count: int) -> None:
        with steps.get_lock():
            steps.value += count

    _call = lambda unit: run(loaded(), unit, on_step)  # noqa: E731


def _end_with(parent: Connection) -> None:
    """No worker outlives its parent, nor the work that it is for."""
    with suppress(EOFError, ConnectionError):
        parent.recv_bytes()
    os._exit(0)


def _run(unit: Any) -> Any:
    return _call(unit)
