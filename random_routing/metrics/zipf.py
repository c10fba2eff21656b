"""Zipf's coefficient: how fast the frequencies of words fall with their rank."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable

import numpy as np

from random_routing.metrics.helpers.jackknife import counted, pseudo_values
from random_routing.metrics.helpers.words import WORDS, words
from random_routing.metrics.metric import CellTexts, Metric, ratio

RANKS = 5000


def zipf_stats(cell: CellTexts) -> np.ndarray:
    """Zipf's coefficient (Holtzman et al. 2020): −slope of the least-squares line of log frequency over
    log rank, of the 5,000 most frequent words.

    Returns (R, 2): jackknife pseudo-values and 1. People's is about 1; repetition is steeper, noise flatter.
    """
    counters = counted(cell.example, [words(text) for text in cell.texts])
    counts = Counter[Hashable]()
    for counter in counters:
        counts.update(counter)
    # types[c]: words seen c times
    types = np.bincount(np.array(list(counts.values()), dtype=int), minlength=1)
    logs = np.log(np.arange(1, max(2, len(counts) + 1)))
    sums = np.concatenate([[0.0], np.cumsum(logs)])  # Σ log rank of the first k ranks
    squares = np.concatenate([[0.0], np.cumsum(logs**2)])
    without = []
    for counter in counters:  # a text moves few words: the histogram of counts is changed and changed back
        moved = [(counts[word], counts[word] - count) for word, count in counter.items()]
        for before, after in moved:
            types[before] -= 1
            types[after] += after > 0
        without.append(coefficient(types, sums, squares))
        for before, after in moved:
            types[before] += 1
            types[after] -= after > 0
    return pseudo_values(coefficient(types, sums, squares), np.array(without), cell.example)


def coefficient(types: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> float:
    """−slope. types: (C + 1,) how many words have each count; sums, squares: Σ log rank and Σ log² rank of
    the first k ranks, k = 0, 1, …. NaN for fewer than two words.

    Words of one count hold neighbouring ranks, so a line through thousands of words is a sum over their
    few dozen counts.
    """
    count = np.flatnonzero(types)[::-1]
    ranks = np.minimum(np.cumsum(types[count]), RANKS)  # the last rank of each count
    total = int(ranks[-1]) if len(ranks) else 0
    if total < 2:
        return math.nan
    before = np.concatenate([[0], ranks[:-1]])
    log_count = np.log(count)
    x, y = sums[total], float(((ranks - before) * log_count).sum())
    xy = float(((sums[ranks] - sums[before]) * log_count).sum())
    return float(-(total * xy - x * y) / (total * squares[total] - x * x))


METRICS = (
    Metric(
        name="zipf",
        label="Zipf coefficient of the words",
        axis="Zipf coefficient",
        unit="log frequency per log rank",
        role="diversity",
        better="nearer to human",
        source="Holtzman et al. 2020",
        signature=f"fit:least squares|ranks:at most {RANKS}|scope:cell|{WORDS}",
        stats=zipf_stats,
        aggregate=ratio,
        undefined="there are not two different words",
        over_all=True,
    ),
)
