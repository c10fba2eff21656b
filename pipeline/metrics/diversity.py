"""Diversity and repetition. N-gram metrics reward noise: read them beside a quality metric only."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from nltk.tokenize import wordpunct_tokenize

from pipeline.metrics.base import CellTexts, columns

MAX_N = 4


@functools.lru_cache(maxsize=65536)
def words(text: str) -> tuple[str, ...]:
    """Words and runs of punctuation (nltk's wordpunct_tokenize), case kept."""
    return tuple(wordpunct_tokenize(text))


def ngrams(tokens: Sequence, n: int) -> list[tuple]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def distinct_stats(cell: CellTexts, n: int) -> np.ndarray:
    """distinct-n (Li et al. 2016): unique / total n-grams over all texts of the cell.

    Returns (R, 2): the row's share of the unique n-grams, where an n-gram that occurs c times gives
    each occurrence 1/c, and the row's number of n-grams. The sums are exactly unique and total. The
    counts c stay those of the whole cell under resampling: drawing an example twice adds no new
    n-gram, so resampling sets of texts would bias every resample down.
    """
    rows = [ngrams(words(text), n) for text in cell.texts]
    counts = Counter(gram for row in rows for gram in row)
    return columns([math.fsum(1 / counts[g] for g in row) for row in rows], [len(row) for row in rows])


def seq_rep_stats(cell: CellTexts, n: int = 4) -> np.ndarray:
    """seq-rep-n (Welleck et al. 2020): 1 − unique / total n-grams inside a text, generator tokens.

    Returns (R, 2): (repeated, total) n-grams; their ratio of sums weighs texts by length.
    """
    rows = [ngrams(ids, n) for ids in cell.token_ids]
    return columns([len(row) - len(set(row)) for row in rows], [len(row) for row in rows])


def self_bleu_stats(cell: CellTexts) -> np.ndarray:
    """Self-BLEU (Zhu et al. 2018): BLEU-4 of every text against all other texts of the cell, mean.

    Equal to nltk's `sentence_bleu` with smoothing method 1 (Chen & Cherry 2014). Returns (R, 2):
    (score, 1); NaN where there is no other text.
    """
    tokens = [words(text) for text in cell.texts]
    if len(tokens) < 2:
        return columns([np.nan] * len(tokens), [1] * len(tokens))
    counts = [[Counter(ngrams(row, n)) for row in tokens] for n in range(1, MAX_N + 1)]
    best = [_two_largest(of_n) for of_n in counts]
    lengths = sorted(len(row) for row in tokens)
    scores = [_bleu(i, tokens[i], counts, best, lengths) for i in range(len(tokens))]
    return columns(scores, [1] * len(scores))


def _two_largest(counts: list[Counter]) -> dict[tuple, tuple[int, int, int]]:
    """n-gram → (largest count, row that has it, second largest count): the maximum over all other
    rows is then one look-up.
    """
    best: dict[tuple, tuple[int, int, int]] = {}
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
    tokens: tuple[str, ...],
    counts: list[list[Counter]],
    best: list[dict[tuple, tuple[int, int, int]]],
    lengths: list[int],
) -> float:
    logs = 0.0
    for n in range(MAX_N):
        own = counts[n][i]
        matched = 0
        for gram, count in own.items():
            first, owner, second = best[n][gram]
            matched += min(count, second if owner == i else first)
        total = max(1, sum(own.values()))
        if n == 0 and matched == 0:
            return 0.0  # nltk: no word in common
        logs += math.log((matched or 0.1) / total) / MAX_N  # method 1: 0.1 in place of 0 matches
    return _brevity(len(tokens), lengths) * math.exp(logs)


def _brevity(length: int, lengths: list[int]) -> float:
    """Against the closest length of another text, the shorter of two equally close (nltk)."""
    others = list(lengths)
    others.remove(length)
    closest = min(others, key=lambda other: (abs(other - length), other))
    if length > closest:
        return 1.0
    return math.exp(1 - closest / length) if length else 0.0


def length_stats(cell: CellTexts) -> np.ndarray:
    return columns([len(ids) for ids in cell.token_ids], [1] * len(cell.texts))


def empty_stats(cell: CellTexts) -> np.ndarray:
    return columns([not text.strip() for text in cell.texts], [1] * len(cell.texts))
