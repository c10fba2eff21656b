"""Diversity and repetition in n-grams. They reward noise: read them beside a quality metric only."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version

import numpy as np
from nltk.tokenize import wordpunct_tokenize

from pipeline.metrics.base import CellTexts, Metric, columns, ratio
from pipeline.metrics.jackknife import counted, pseudo_values, unique

WORDS = f"tok:wordpunct|case:mixed|nltk:{version('nltk')}"
NO_WORDS = "no text has so many words"


@functools.lru_cache(maxsize=65536)
def words(text: str) -> tuple[str, ...]:
    """Words and runs of punctuation (nltk's wordpunct_tokenize), case kept."""
    return tuple(wordpunct_tokenize(text))


def ngrams(tokens: Sequence, n: int) -> list[tuple]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def distinct_stats(cell: CellTexts, n: int) -> np.ndarray:
    """distinct-n (Li et al. 2016): unique / total n-grams over all texts of the cell.

    Returns (R, 2): the row's part of the unique n-grams (`jackknife.unique`), and its number of n-grams.
    """
    rows = [ngrams(words(text), n) for text in cell.texts]
    return columns(unique(rows, cell.example), [len(row) for row in rows])


def ead_stats(cell: CellTexts, n: int) -> np.ndarray:
    """Expectation-adjusted distinct (Liu et al. 2022), over the generator's tokens.

    Returns (R, 4): part of the unique n-grams (`jackknife.unique`), n-grams, size of the vocabulary, 1.
    """
    rows = [ngrams(ids, n) for ids in cell.written_ids]
    one = np.ones(len(rows))
    return columns(unique(rows, cell.example), [len(row) for row in rows], one * cell.vocabulary, one)


def ead(sums: np.ndarray) -> np.ndarray:
    """EAD = N / (V·[1 − ((V−1)/V)^C]): N unique and C all n-grams, V the vocabulary's size, for every n.

    The unique n-grams over how many C draws from V equally likely ones would give, so that longer
    texts are not punished for their length alone (Liu et al. 2022, equation 3).
    """
    found, total, size = sums[..., 0], sums[..., 1], ratio(sums[..., 2:4])
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = -size * np.expm1(total * np.log1p(-1 / size))
    return ratio(np.stack([found, np.nan_to_num(expected)], axis=-1))


def entropy_stats(cell: CellTexts, n: int) -> np.ndarray:
    """Entropy of the cell's n-grams in nats, −Σ (c/C)·log(c/C) (Shannon 1948).

    Returns (R, 2): jackknife pseudo-values and 1.
    """
    own = counted(cell.example, [ngrams(words(text), n) for text in cell.texts])
    counts: Counter = Counter()
    for grams in own:
        counts.update(grams)
    total, weighted = counts.total(), sum(map(_weighted, counts.values()))
    without = [
        _entropy(
            total - grams.total(),
            weighted - sum(_weighted(counts[g]) - _weighted(counts[g] - c) for g, c in grams.items()),
        )
        for grams in own
    ]
    return pseudo_values(_entropy(total, weighted), np.array(without), cell.example)


def _weighted(count: int) -> float:
    return count * math.log(count) if count else 0.0


def _entropy(total: int, weighted: float) -> float:
    return math.log(total) - weighted / total if total else math.nan


def seq_rep_stats(cell: CellTexts, n: int = 4) -> np.ndarray:
    """seq-rep-n (Welleck et al. 2020): 1 − unique / total n-grams inside a text, generator tokens.

    Returns (R, 2): (repeated, total) n-grams; their ratio of sums weighs texts by length.
    """
    rows = [ngrams(ids, n) for ids in cell.written_ids]
    return columns([len(row) - len(set(row)) for row in rows], [len(row) for row in rows])


METRICS = (
    *(
        Metric(
            name=f"distinct_{n}",
            label=f"distinct-{n}: unique / all {n}-grams of words",
            unit="share, 0 to 1",
            higher_is_better=None,
            source="Li et al. 2016",
            signature=f"n:{n}|scope:cell|{WORDS}",
            stats=partial(distinct_stats, n=n),
            aggregate=ratio,
            undefined=NO_WORDS,
            over_all=True,
        )
        for n in (1, 2, 3)
    ),
    *(
        Metric(
            name=f"ead_{n}",
            label=f"EAD-{n}: unique / expected {n}-grams of tokens",
            unit="ratio",
            higher_is_better=None,
            source="Liu et al. 2022, equation 3",
            signature=f"n:{n}|scope:cell|tok:generator|V:the tokenizer's vocabulary",
            stats=partial(ead_stats, n=n),
            aggregate=ead,
            undefined="no text has so many tokens",
            over_all=True,
        )
        for n in (1, 2, 3)
    ),
    Metric(
        name="entropy_2",
        label="entropy of word pairs",
        unit="nats",
        higher_is_better=None,
        source="Shannon 1948",
        signature=f"n:2|scope:cell|{WORDS}",
        stats=partial(entropy_stats, n=2),
        aggregate=ratio,
        undefined=NO_WORDS,
        over_all=True,
    ),
    Metric(
        name="seq_rep_4",
        label="seq-rep-4: repeated / all 4-grams inside a text",
        unit="share, 0 to 1",
        higher_is_better=None,
        source="Welleck et al. 2020",
        signature="n:4|tok:generator",
        stats=seq_rep_stats,
        aggregate=ratio,
        undefined="no text has four tokens",
    ),
)
