"""What texts follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from random_routing.models.cache import RowStates

T = TypeVar("T")


@dataclass(frozen=True)
class Prompts:
    """Token ids of each prompt, without the `prefix` that all share and whose keys and values are known.

    of_text: (texts,) index into ids; length: what every prompt is padded to.
    """

    ids: Sequence[Sequence[int]]
    of_text: np.ndarray
    length: int
    prefix: RowStates | None = None

    @classmethod
    def of(cls, texts: Sequence[tuple[int, ...]], length: int, prefix: RowStates | None = None) -> Prompts:
        """texts: the prompt of each; equal ones are read once."""
        return cls(*numbered(texts), length, prefix)


def numbered(items: Sequence[T]) -> tuple[list[T], np.ndarray]:
    """The distinct items in order, and the number of each item among them, (items,) int64."""
    number: dict[T, int] = {}
    # Hashing takes long: of an object that comes again and again, once.
    of_object = {
        key: number.setdefault(item, len(number)) for key, item in {id(i): i for i in items}.items()
    }
    return list(number), np.array([of_object[id(item)] for item in items])
