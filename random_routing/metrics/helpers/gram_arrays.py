"""n-grams as numbers in arrays, so that those of millions of texts are counted by sorting.

Numbers take 8 bytes per n-gram, and at most four times as much again while they are counted: about 1.3 GiB for
the word pairs of a million texts of 34 words (`benchmarks.scale` measures the whole).
"""

from __future__ import annotations

import numpy as np

from random_routing.metrics.helpers.ragged import Ragged

MOST = 2**62  # numbers stay below it


def numbered(tokens: Ragged, n: int) -> tuple[np.ndarray, int, np.ndarray]:
    """The n-grams of all rows in order: (T,) int64, equal numbers for equal n-grams; what all numbers are
    below; how many n-grams each row has, (R,).
    """
    size = int(tokens.values.max(initial=0)) + 1
    numbers, bound = tokens.values.astype(np.int64), size
    begins = np.ones(len(numbers), dtype=bool)  # is there an n-gram that begins here?
    for length in range(2, n + 1):
        if bound * size > MOST:
            numbers, bound = ranked(numbers)
        numbers = numbers[:-1]
        numbers *= size
        numbers += tokens.values[length - 1 :]  # across the ends of rows too: those are left out below
        bound *= size
        last = tokens.edges[1:] - length + 1
        begins[last[last >= tokens.edges[:-1]]] = False
    return numbers[begins[: len(numbers)]], bound, np.maximum(tokens.lengths - n + 1, 0)


def ranked(numbers: np.ndarray) -> tuple[np.ndarray, int]:
    """Each number's rank among the distinct ones, and how many of these there are."""
    distinct, ranks = np.unique(numbers, return_inverse=True)
    return ranks, len(distinct)


def pairs(numbers: np.ndarray, bound: int, owner: np.ndarray, owners: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct pairs (number, owner), sorted: two arrays. owner: (T,), below `owners`.

    numbers: int64, overwritten, so that there is one such array at a time.
    """
    if bound * owners > MOST:
        numbers, bound = ranked(numbers)
    numbers *= owners
    numbers += owner
    numbers.sort()
    return np.divmod(numbers[changes(numbers)], owners)


def changes(values: np.ndarray) -> np.ndarray:
    """(T,) bool: where a sorted array has a value for the first time."""
    new = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return new


def first_places(ranks: np.ndarray, distinct: int) -> np.ndarray:
    """Where each of the ranks 0 … distinct − 1 is seen first, in that order: (distinct,), rising."""
    places = np.empty(distinct, dtype=np.int64)
    places[ranks[::-1]] = np.arange(len(ranks))[::-1]  # of several at one index the last one stays
    places.sort()
    return places
