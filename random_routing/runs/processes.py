"""Work in several processes: each holds a model, takes a unit, gives back its result, takes the next.

What a unit yields does not depend on which process ran it, so neither order nor number matters.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

import torch

from random_routing import interrupt
from random_routing.errors import PipelineError

Loaded = TypeVar("Loaded")
Unit = TypeVar("Unit")
Result = TypeVar("Result")


def in_processes(
    load: Callable[[], Loaded],
    run: Callable[[Loaded, Unit, Callable[[int], None]], Result],
    units: Iterable[Unit],
    on_step: Callable[[int], None],
    workers: int,
) -> Iterator[Result]:
    """run(load(), unit, on_step) of every unit, in the order in which they finish.

    With one worker all happens in this process. `load`, `run` and units must be picklable for more.
    Raises `PipelineError` when a worker ends before its unit does.
    """
    if workers == 1:
        loaded = load()
        for unit in units:
            yield run(loaded, unit, on_step)
        return
    context = multiprocessing.get_context("spawn")
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    pool: dict[Connection, Any] = {}
    resource_tracker.ensure_running()  # whose start would let Ctrl-C through to what is started with it
    for _ in range(workers):
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(there, load, run, threads), daemon=True)
        with interrupt.held():
            process.start()
        there.close()
        pool[here] = process
    try:
        yield from _hand_out(list(pool), iter(units), on_step)
    except (EOFError, ConnectionError):  # it ended while the parent read from it, or wrote to it
        raise _cause(pool) from None
    finally:
        for here, process in pool.items():
            here.close()  # a worker that waits for its next unit reads the end and stops
            process.terminate()
            process.join()


def _hand_out(
    pipes: list[Connection], units: Iterator[Any], on_step: Callable[[int], None]
) -> Iterator[Any]:
    busy = set()
    for pipe in pipes:
        if (unit := next(units, None)) is not None:
            pipe.send(unit)
            busy.add(pipe)
    while busy:
        heard = wait(list(busy))
        for pipe in [pipe for pipe in pipes if pipe in heard]:
            kind, value = pipe.recv()
            if kind == "step":
                on_step(value)
            elif kind == "error":
                raise _failure(value) from value
            else:
                if (unit := next(units, None)) is not None:
                    pipe.send(unit)
                else:
                    busy.discard(pipe)
                yield value


def _failure(error: Exception) -> PipelineError:
    """Of what a worker has sent."""
    if isinstance(error, PipelineError):
        return error
    return PipelineError(f"a worker failed: {type(error).__name__}: {error}")


def _cause(pipes: Iterable[Connection]) -> PipelineError:
    """Why a worker has ended: what it has sent may still lie in its pipe, where the parent was writing to it."""
    for pipe in pipes:
        with suppress(EOFError, ConnectionError):
            while pipe.poll():
                kind, value = pipe.recv()
                if kind == "error":
                    return _failure(value)
    return PipelineError(
        "a worker process was stopped (out of memory?); what is finished is kept, run it again"
    )


def _serve(pipe: Connection, load: Callable[[], Any], run: Callable[..., Any], threads: int) -> None:
    """A worker's life. It ends when the pipe does, so that it never outlives its parent."""
    torch.set_num_threads(threads)
    try:
        loaded = load()
        while True:
            unit = pipe.recv()
            pipe.send(("result", run(loaded, unit, lambda count: pipe.send(("step", count)))))
    except (EOFError, ConnectionError):
        return
    except Exception as error:
        pipe.send(("error", error))
