"""Self-BLEU: how much the texts of a cell are like each other."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

import numpy as np

from random_routing.metrics.helpers.words import WORDS, words
from random_routing.metrics.metric import CellTexts, Metric, columns, ratio
from random_routing.metrics.ngrams import Gram, ngrams

MAX_N = 4
MOST_TEXTS = 1000  # a text's score falls as others join, so cells are compared at equal numbers


def self_bleu_stats(cell: CellTexts, most: int = MOST_TEXTS) -> np.ndarray:
    """Self-BLEU (Zhu et al. 2018): BLEU-4 of every text against all other texts of the cell, mean.

    Equal to nltk's `sentence_bleu` with smoothing method 1 (Chen & Cherry 2014). Of more than `most`
    texts, those that come first in the keyed noise `cell.order`, the same of every cell. Returns (R, 2):
    (score, 1), and (0, 0) for a text that was not taken; NaN where there is no other text.
    """
    rows = len(cell.texts)
    chosen = np.argsort(cell.order, kind="stable")[:most] if rows > most else np.arange(rows)
    stats = np.zeros((rows, 2))
    stats[chosen] = columns(
        self_bleu([words(cell.texts[i]) for i in chosen.tolist()]), np.ones(len(chosen))
    )
    return stats


def self_bleu(texts: Sequence[Sequence[str]]) -> list[float]:
    """BLEU-4 of each text, a row of words, against all others; NaN where there is none, or no word at all."""
    if len(texts) < 2 or not any(texts):
        return [math.nan] * len(texts)
    counts = [[Counter(ngrams(row, n)) for row in texts] for n in range(1, MAX_N + 1)]
    best = [_two_largest(of_n) for of_n in counts]
    lengths = sorted(len(row) for row in texts)
    return [_bleu(i, len(row), counts, best, lengths) for i, row in enumerate(texts)]


def _two_largest(counts: list[Counter[Gram]]) -> dict[Gram, tuple[int, int, int]]:
    """n-gram → (largest count, row that has it, second largest count): the maximum over all other
    rows is then one look-up.
    """
    best: dict[Gram, tuple[int, int, int]] = {}
    for row, counter in enumerate(counts):
        for gram, count in counter.items():
            first, owner, second = best.get(gram, (0, -1, 0))
            if count > first:
                best[gram] = (count, row, first)
            elif count > second:
                best[gram] = (first, owner, count)
    return best


def _bleu(
    i: int,
    length: int,
    counts: list[list[Counter[Gram]]],
    best: list[dict[Gram, tuple[int, int, int]]],
    lengths: list[int],
) -> float:
    logs = 0.0
    for n in range(MAX_N):
        grams = counts[n][i]
        matched = 0
        for gram, count in grams.items():
            first, owner, second = best[n][gram]
            matched += min(count, second if owner == i else first)
        total = max(1, sum(grams.values()))
        if n == 0 and matched == 0:
            return 0.0  # nltk: no word in common
        logs += math.log((matched or 0.1) / total) / MAX_N  # method 1: 0.1 in place of 0 matches
    return _brevity(length, lengths) * math.exp(logs)


def _brevity(length: int, lengths: list[int]) -> float:
    """Against the closest length of another text, the shorter of two equally close (nltk).

    lengths: of all texts, sorted; one of them is the text's own.
    """
    place = bisect_left(lengths, length)
    # Its neighbours, equal ones among them.
    others = lengths[max(0, place - 1) : place] + lengths[place + 1 : place + 2]
    closest = min(others, key=lambda other: (abs(other - length), other))
    if length > closest:
        return 1.0
    return math.exp(1 - closest / length) if length else 0.0


METRICS = (
    Metric(
        name="self_bleu",
        label="self-BLEU: BLEU-4 of each text against the others",
        axis="self-BLEU",
        unit="0 to 1",
        role="sameness",
        coordinate="diversity",
        better="lower",
        source="Zhu et al. 2018",
        signature=f"n:4|smooth:method1|refs:all other texts|texts:at most {MOST_TEXTS}, keyed|{WORDS}",
        stats=self_bleu_stats,
        aggregate=ratio,
        undefined="there is no other text, or no word",
        over_all=True,
    ),
)
