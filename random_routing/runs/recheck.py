"""A stage watches itself: at its end it makes a keyed 1 % of what it has computed again and compares the bits.

Nothing here should ever differ. Where it does, a library or the machine does not round the same way twice, and the
stage stops before anybody reads its numbers.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import chain
from time import perf_counter
from typing import Generic, TypeVar

from random_routing.errors import PipelineError
from random_routing.runs.store import Store

Item = TypeVar("Item")
SHARE = 0.01  # of what was computed
LEAST, MOST = 8, 1024  # values
SECONDS = 30.0  # after which no further lot is begun
LOT = 8  # values made again at once


class Sample(Generic[Item]):
    """Of what was computed, the values of the smallest keys, which are hashes: a random choice that never changes."""

    def __init__(self) -> None:
        self.seen = 0
        self._smallest: list[tuple[bytes, Item]] = []

    def add(self, items: Iterable[tuple[bytes, Item]]) -> None:
        new = list(items)
        self.seen += len(new)
        self._smallest = heapq.nsmallest(MOST, chain(self._smallest, new), key=lambda pair: pair[0])

    def merge(self, other: Sample[Item]) -> None:
        self.add(other._smallest)
        self.seen += other.seen - len(other._smallest)

    def chosen(self) -> list[Item]:
        return [item for _, item in self._smallest[: max(LEAST, round(SHARE * self.seen))]]

    def lots(self, kind: Callable[[Item], Hashable], seconds: float = SECONDS) -> Iterator[list[Item]]:
        """A few values of one kind at a time: the first lot always, another while it should end in time."""
        left, began, longest = self.chosen(), perf_counter(), 0.0
        while left:
            started = perf_counter()
            of_kind = [item for item in left if kind(item) == kind(left[0])]
            yield of_kind[:LOT]
            left = of_kind[LOT:] + [item for item in left if kind(item) != kind(left[0])]
            longest = max(longest, perf_counter() - started)
            if perf_counter() - began + longest > seconds:
                return


def recheck(stage: str, store: Store, again: Iterable[Mapping[bytes, bytes]]) -> int:
    """How many values were made again. again: key → the value's bytes, a lot at a time.

    Raises `PipelineError` where one is not the stored one; those are taken out of the store, so that the next run
    makes them, and looks at them, once more.
    """
    count, other = 0, list[bytes]()
    for values in again:
        stored = store.get(list(values))
        count += len(values)
        other += [key for key, value in values.items() if stored.get(key) != value]
    if other:
        store.discard(other)
        raise PipelineError(
            f"{stage}: {len(other)} of {count} values had other bits when they were made again: this machine or a "
            "library does not compute the same twice; they are taken back, run it again, and report it if it recurs"
        )
    return count
