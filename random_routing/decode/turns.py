"""Two runs at a time on a GPU: one has its model call done while the host looks after the other.

Each has a stream of its own, and every tensor of a run belongs to its stream, so that neither waits for the other.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import cache
from typing import TypeVar

import torch

Result = TypeVar("Result")
Run = Generator[None, None, Result]  # stops where the device has something to do


def finished(run: Run[Result]) -> Result:
    """Run to its end."""
    while True:
        try:
            next(run)
        except StopIteration as end:
            result: Result = end.value
            return result


def in_turns(runs: Sequence[Run[Result]]) -> list[Result]:
    """What the runs give, in order: the first on the current stream, the others beside it."""
    if len(runs) == 1:
        return [finished(runs[0])]
    streams = [torch.cuda.current_stream(), *(_beside(number) for number in range(1, len(runs)))]
    results: dict[int, Result] = {}
    begun: list[int] = []
    while len(results) < len(runs):
        for number, (run, stream) in enumerate(zip(runs, streams, strict=True)):
            if number in results:
                continue
            if number not in begun:  # it may use what was made for the first time by those before
                stream.wait_stream(streams[number - 1])
                begun.append(number)
            with torch.cuda.stream(stream):
                try:
                    next(run)
                except StopIteration as end:
                    results[number] = end.value
    for stream in streams[1:]:
        streams[0].wait_stream(stream)
    return [results[number] for number in range(len(runs))]


@cache
def _beside(number: int) -> torch.cuda.Stream:
    """The same ones for all runs: what a model keeps belongs to them."""
    return torch.cuda.Stream()
