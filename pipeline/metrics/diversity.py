"""Diversity and repetition. N-gram metrics reward noise: read them beside a quality metric only."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from nltk.tokenize import wordpunct_tokenize

from pipeline.metrics.base import CellTexts, columns, ratio

MAX_N = 4
SHARED = -1  # the owner of an n-gram that several examples have


@functools.lru_cache(maxsize=65536)
def words(text: str) -> tuple[str, ...]:
    """Words and runs of punctuation (nltk's wordpunct_tokenize), case kept."""
    return tuple(wordpunct_tokenize(text))


def ngrams(tokens: Sequence, n: int) -> list[tuple]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def _unique(rows: Sequence[Sequence[tuple]], example: np.ndarray) -> np.ndarray:
    """Numbers a row, (R,), whose sum is how many distinct n-grams all rows have.

    The sum does not simply add up: an n-gram may be in several texts, and an example drawn twice adds no
    new one. So each example gets N/E + (e − mean e), with e the n-grams that it alone has, N − N without
    it: its jackknife influence (Efron & Stein 1981, whose inequality makes the variance err on the safe
    side). It stands in the example's first row.
    """
    owner: dict[tuple, int] = {}
    for row, number in zip(rows, example.tolist(), strict=True):
        for gram in row:
            owner[gram] = number if owner.get(gram, number) == number else SHARED
    names, first = np.unique(example, return_index=True)
    alone = Counter(owner.values())
    influence = np.array([alone[name] for name in names.tolist()], dtype=np.float64)
    found = np.zeros(len(rows))
    found[first] = len(owner) / len(names) + influence - influence.mean()
    return found


def distinct_stats(cell: CellTexts, n: int) -> np.ndarray:
    """distinct-n (Li et al. 2016): unique / total n-grams over all texts of the cell.

    Returns (R, 2): the row's part of the unique n-grams (`_unique`), and its number of n-grams.
    """
    rows = [ngrams(words(text), n) for text in cell.texts]
    return columns(_unique(rows, cell.example), [len(row) for row in rows])


def ead_stats(cell: CellTexts, n: int) -> np.ndarray:
    """Expectation-adjusted distinct (Liu et al. 2022), over the generator's tokens.

    Returns (R, 4): part of the unique n-grams (`_unique`), n-grams, size of the vocabulary, 1.
    """
    rows = [ngrams(ids, n) for ids in cell.token_ids]
    one = np.ones(len(rows))
    return columns(_unique(rows, cell.example), [len(row) for row in rows], one * cell.vocabulary, one)


def ead(sums: np.ndarray) -> np.ndarray:
    """EAD = N / (V·[1 − ((V−1)/V)^C]): N unique and C all n-grams, V the vocabulary's size, for every n.

    The unique n-grams over how many C draws from V equally likely ones would give, so that longer
    texts are not punished for their length alone (Liu et al. 2022, equation 3).
    """
    unique, total, size = sums[..., 0], sums[..., 1], ratio(sums[..., 2:4])
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = -size * np.expm1(total * np.log1p(-1 / size))
    return ratio(np.stack([unique, np.nan_to_num(expected)], axis=-1))


def entropy_stats(cell: CellTexts, n: int) -> np.ndarray:
    """Entropy of the cell's n-grams in nats, −Σ (c/C)·log(c/C) (Shannon 1948).

    Returns (R, 2), in each example's first row: H + (E−1)·(mean of H without one − H without it), its
    jackknife pseudo-value around H, and 1. Their mean is H.
    """
    rows = [ngrams(words(text), n) for text in cell.texts]
    counts = Counter(gram for row in rows for gram in row)
    own: dict[int, Counter] = {}
    for row, number in zip(rows, cell.example.tolist(), strict=True):
        own.setdefault(number, Counter()).update(row)
    total, weighted = counts.total(), sum(map(_weighted, counts.values()))
    left = [  # sums without one example
        (
            total - grams.total(),
            weighted - sum(_weighted(counts[g]) - _weighted(counts[g] - c) for g, c in grams.items()),
        )
        for grams in own.values()
    ]
    without = np.array([_entropy(*sums) for sums in left])
    whole, first = _entropy(total, weighted), np.unique(cell.example, return_index=True)[1]
    known = np.where(np.isfinite(without), without, whole)  # one example alone: nothing is left without it
    found = np.zeros((len(rows), 2))
    found[first, 0] = whole + (len(first) - 1) * (known.mean() - known)
    found[first, 1] = 1
    return found


def _weighted(count: int) -> float:
    return count * math.log(count) if count else 0.0


def _entropy(total: int, weighted: float) -> float:
    return math.log(total) - weighted / total if total else math.nan


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
