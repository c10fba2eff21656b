"""Statistics of what does not add up over texts, by leaving one example out at a time.

The number of distinct n-grams of a cell is no sum over its texts: two texts may share some, and an example
drawn twice by a bootstrap adds no new one. Each example then stands for its jackknife influence, which
does add up (Efron & Stein 1981, whose inequality makes the variance err on the safe side).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from random_routing.metrics.helpers.gram_arrays import changes, pairs


def unique(numbers: np.ndarray, bound: int, lengths: np.ndarray, example: np.ndarray) -> np.ndarray:
    """A number per row, (R,); their sum is how many distinct items all rows have.

    numbers: (T,) of the items, row after row, below `bound`, overwritten; lengths: (R,) of each row. Each example gets
    N/E + (e − mean e), with N all distinct items and e those that it alone has, N − N without it. It stands in
    the example's first row.
    """
    names, first, index = np.unique(example, return_index=True, return_inverse=True)
    item, owner = pairs(numbers, bound, np.repeat(index.astype(np.int32), lengths), len(names))
    new = changes(item)
    alone = np.append(new[1:], True) & new  # neither the one before nor the one after is the same item
    influence = np.bincount(owner[alone], minlength=len(names))
    return centred(int(new.sum()), influence, first, len(lengths))


def centred(
    whole: float, influence: Sequence[float] | np.ndarray, first: np.ndarray, rows: int
) -> np.ndarray:
    """(rows,): whole/E + (influence − its mean) at the rows `first` of the E examples; their sum is whole."""
    parts, effects = np.zeros(rows), np.asarray(influence, dtype=np.float64)
    parts[first] = whole / len(first) + effects - effects.mean()
    return parts


def pseudo_values(whole: np.ndarray | float, without: np.ndarray, example: np.ndarray) -> np.ndarray:
    """(R, S + 1), in each example's first row: S pseudo-values and 1; their mean is `whole`.

    whole: the value of all texts, or S values; without: (E, S) or (E,), of all texts but one example's,
    in the order of the examples' numbers. whole + (E−1)·(mean of without − without); where leaving an
    example out leaves nothing (NaN), it has no influence.
    """
    left = np.asarray(without, dtype=np.float64).reshape(len(without), -1)
    known = np.where(np.isfinite(left), left, whole)
    stats = np.zeros((len(example), known.shape[1] + 1))
    first = np.unique(example, return_index=True)[1]
    stats[first, :-1] = whole + (len(first) - 1) * (known.mean(0) - known)
    stats[first, -1] = 1
    return stats


def counted(example: np.ndarray, rows: Sequence[Iterable[Hashable]]) -> list[Counter[Hashable]]:
    """The items of each example, counted, in the order of the examples' numbers."""
    counters: dict[int, Counter[Hashable]] = {}
    for row, number in zip(rows, example.tolist(), strict=True):
        counters.setdefault(number, Counter()).update(row)
    return [counters[number] for number in sorted(counters)]
