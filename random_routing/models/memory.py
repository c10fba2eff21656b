"""Too little memory for a model call is met with smaller batches.

No result depends on the batch that it was made in (on a CPU), so nothing of this changes a byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch

from random_routing.errors import PipelineError, short
from random_routing.progress import say

Item = TypeVar("Item")
Result = TypeVar("Result")
SMALLEST = 2  # rows of a model call; one alone would be rounded otherwise


@dataclass
class Memory:
    """What a process has learnt about its memory, for later units."""

    give_back: Callable[[], None] = lambda: None  # what is kept for the texts to come
    most_rows: int | None = None  # of a model call, where it was too little for more


def in_two(items: list[Item]) -> list[list[Item]]:
    return [items[: len(items) // 2], items[len(items) // 2 :]]


def within(
    memory: Memory,
    attempt: Callable[[list[Item], int], Result],
    items: list[Item],
    batch_size: int,
    halves: Callable[[list[Item]], list[list[Item]]] = in_two,
) -> Iterator[Result]:
    """attempt(items, rows of a model call) with those rows, or of halves of the items with half the rows.

    Raises `PipelineError` where memory is too little for one item and two rows.
    """
    rows = min(batch_size, memory.most_rows or batch_size)
    try:
        result = attempt(items, rows)
    except Exception as error:
        if not out_of_memory(error):
            raise
        why = f"{type(error).__name__}: {error}"
    else:
        yield result
        return
    # Outside of the handler, so that the traceback no longer holds the tensors of the attempt.
    memory.give_back()
    if not can_be_halved(items, rows):
        raise PipelineError(f"not enough memory for one text and {rows} rows ({short(why, 300)})")
    memory.most_rows = max(SMALLEST, rows // 2)
    for half in halves(items):
        if half:
            yield from within(memory, attempt, half, memory.most_rows, halves)


def can_be_halved(items: list[Item], rows: int) -> bool:
    return rows > SMALLEST or len(items) > 1


def out_of_memory(error: Exception) -> bool:
    """PyTorch has a class of its own for GPUs alone. An error that came while one was handled counts too: a GPU's
    graph that cannot be captured to its end has another.
    """
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    if isinstance(error.__context__, Exception):
        return out_of_memory(error.__context__)
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("can't allocate memory", "not enough memory", "bad_alloc")
    )


class Warn:
    """Says it once for each number of rows that a run had to go down to."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = self.smallest = batch_size

    def __call__(self, rows: int) -> None:
        """rows: of a unit that is done."""
        if rows < self.smallest:
            self.smallest = rows
            say(
                "model",
                f"warning: not enough memory for batch_size {self.batch_size}; going on with {rows} rows",
            )
