"""A task's cells are many: one is in memory at a time, and models work on portions of texts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from random_routing.metrics.metric import CellTexts

PORTION = 8192  # texts: enough to fill a model's batches, few enough for any memory
Item = TypeVar("Item", bound=Hashable)
Element = TypeVar("Element")


class Lazy(Mapping[str, CellTexts]):
    """Cell → its texts, read when they are asked for and not kept: take one cell, use it, drop it."""

    def __init__(self, names: Iterable[str], make: Callable[[str], CellTexts]) -> None:
        self.names, self.make = dict.fromkeys(names), make

    def __getitem__(self, name: str) -> CellTexts:
        if name not in self.names:
            raise KeyError(name)
        return self.make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def cut(items: Sequence[Element], size: int | None = None) -> Iterator[Sequence[Element]]:
    """Pieces of at most `size`, by default a portion, in order."""
    size = size or PORTION
    return (items[start : start + size] for start in range(0, len(items), size))


def portions(
    batches: Iterable[Sequence[Item]],
    absent: Callable[[Sequence[Item]], Iterable[Item]],
    size: int | None = None,
) -> Iterator[list[Item]]:
    """The absent items of all batches, distinct, in lists of `size` (a portion).

    The caller stores one list before it takes the next, so that its items are absent no longer.
    """
    portion: dict[Item, None] = {}
    for batch in batches:
        portion |= dict.fromkeys(absent(batch))
        if len(portion) >= (size or PORTION):
            yield list(portion)
            portion.clear()
    if portion:
        yield list(portion)
