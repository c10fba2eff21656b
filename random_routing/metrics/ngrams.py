"""Diversity and repetition in n-grams. They reward noise: read them beside a quality metric only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, pairwise
from typing import Any

import numpy as np

from random_routing.metrics.helpers.gram_arrays import changes, first_places, numbered, pairs, ranked
from random_routing.metrics.helpers.jackknife import pseudo_values, unique
from random_routing.metrics.helpers.ragged import as_ragged
from random_routing.metrics.helpers.words import WORDS
from random_routing.metrics.metric import CellTexts, Metric, columns, ratio

NO_WORDS = "no text has so many words"
TOKENS = 2**20  # n-grams that are at work at once
GRAMS = {1: "{}s", 2: "{} pairs", 3: "{} triples"}


Gram = tuple[Any, ...]  # n tokens


def ngrams(tokens: Sequence[Any], n: int) -> list[Gram]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def distinct_stats(cell: CellTexts, n: int) -> np.ndarray:
    """distinct-n (Li et al. 2016): unique / total n-grams over all texts of the cell.

    Returns (R, 2): the row's part of the unique n-grams (`jackknife.unique`), and its number of n-grams.
    """
    numbers, bound, lengths = numbered(cell.word_ids, n)
    return columns(unique(numbers, bound, lengths, cell.example), lengths)


def ead_stats(cell: CellTexts, n: int) -> np.ndarray:
    """Expectation-adjusted distinct (Liu et al. 2022), over the generator's tokens.

    Returns (R, 4): part of the unique n-grams (`jackknife.unique`), n-grams, size of the vocabulary, 1.
    """
    numbers, bound, lengths = numbered(as_ragged(cell.written_ids), n)
    ones = np.ones(len(lengths))
    return columns(unique(numbers, bound, lengths, cell.example), lengths, ones * cell.vocabulary, ones)


def ead(sums: np.ndarray) -> np.ndarray:
    """EAD = N / (V·[1 − ((V−1)/V)^C]): N unique and C all n-grams, V the vocabulary's size, for every n.

    The unique n-grams over how many C draws from V equally likely ones would give, so that longer
    texts are not punished for their length alone (Liu et al. 2022, equation 3).
    """
    distinct, total, size = sums[..., 0], sums[..., 1], ratio(sums[..., 2:4])
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = -size * np.expm1(total * np.log1p(-1 / size))
    return ratio(np.stack([distinct, np.nan_to_num(expected)], axis=-1))


def entropy_stats(cell: CellTexts, n: int) -> np.ndarray:
    """Entropy of the cell's n-grams in nats, −Σ (c/C)·log(c/C) (Shannon 1948).

    Returns (R, 2): jackknife pseudo-values and 1.
    """
    order = np.argsort(cell.example, kind="stable")
    rising = np.array_equal(order, np.arange(len(order)))
    numbers, _, lengths = numbered(cell.word_ids if rising else cell.word_ids.take(order), n)
    ranks, distinct = ranked(numbers)
    grams = ranks.astype(np.int32)  # (T,), example after example
    del numbers, ranks  # of a large cell, hundreds of MiB each
    counts = np.bincount(grams, minlength=distinct)
    weighted = _weighted(counts)
    whole = _sum(weighted[grams[first_places(grams, distinct)]])
    sizes = np.bincount(np.unique(cell.example[order], return_inverse=True)[1], weights=lengths).astype(int)
    losses = _losses(grams, counts, weighted, sizes)
    without = [
        _entropy(len(grams) - lost, whole - loss) for lost, loss in zip(sizes.tolist(), losses, strict=True)
    ]
    return pseudo_values(_entropy(len(grams), whole), np.array(without), cell.example)


def _losses(
    grams: np.ndarray, counts: np.ndarray, weighted: np.ndarray, sizes: np.ndarray
) -> Iterator[float]:
    """What leaving each example out takes from Σ c·log c, summed as its n-grams are first seen.

    grams: (T,) ranks, example after example; sizes: (E,) of each; counts, weighted: c and c·log c of each rank.
    """
    edges = np.concatenate([[0], np.cumsum(sizes)])
    start = 0
    while start < len(sizes):  # some examples at a time
        stop = max(start + 1, int(np.searchsorted(edges, edges[start] + TOKENS, "right")) - 1)
        chunk = grams[edges[start] : edges[stop]]
        owner = np.repeat(np.arange(stop - start), sizes[start:stop])
        keys = owner * len(counts) + chunk
        order = np.argsort(keys, kind="stable")
        begins = np.flatnonzero(changes(keys[order]))  # of each pair of an example and an n-gram
        times = np.diff(begins, append=len(keys))
        places = order[begins]  # where each pair is first seen
        gram = chunk[places]
        loss = weighted[gram] - _weighted(counts[gram] - times)
        turn = np.argsort(places)
        values, ends = loss[turn].tolist(), np.cumsum(np.bincount(owner[places], minlength=stop - start))
        for begin, end in pairwise([0, *ends.tolist()]):
            yield sum(values[begin:end])
        start = stop


def _sum(values: np.ndarray) -> float:
    """One after the other, as Python sums."""
    pieces = (values[start : start + TOKENS] for start in range(0, len(values), TOKENS))
    return sum(chain.from_iterable(piece.tolist() for piece in pieces))


def _weighted(counts: np.ndarray) -> np.ndarray:
    """c·log c of each count; 0 of 0."""
    values, place = np.unique(counts, return_inverse=True)
    return np.array([count * math.log(count) if count else 0.0 for count in values.tolist()])[place]


def _entropy(total: int, weighted: float) -> float:
    return math.log(total) - weighted / total if total else math.nan


def seq_rep_stats(cell: CellTexts, n: int = 4) -> np.ndarray:
    """seq-rep-n (Welleck et al. 2020): 1 − unique / total n-grams inside a text, generator tokens.

    Returns (R, 2): (repeated, total) n-grams; their ratio of sums weighs texts by length.
    """
    numbers, bound, lengths = numbered(as_ragged(cell.written_ids), n)
    rows = np.arange(len(lengths))
    _, row = pairs(numbers, bound, np.repeat(rows, lengths), len(rows))
    return columns(lengths - np.bincount(row, minlength=len(rows)), lengths)


METRICS = (
    *(
        Metric(
            name=f"distinct_{n}",
            label=f"distinct-{n}: unique / all {n}-grams of words",
            axis=f"distinct-{n} (distinct / all {GRAMS[n].format('word')})",
            unit="share, 0 to 1",
            role="diversity",
            coordinate="diversity",
            better="nearer to human",
            source="Li et al. 2016",
            signature=f"n:{n}|scope:cell|{WORDS}",
            stats=partial(distinct_stats, n=n),
            aggregate=ratio,
            undefined=NO_WORDS,
            over_all=True,
        )
        for n in GRAMS
    ),
    *(
        Metric(
            name=f"ead_{n}",
            label=f"EAD-{n}: unique / expected {n}-grams of tokens",
            axis=f"EAD-{n} (distinct / expected {GRAMS[n].format('token')})",
            unit="ratio",
            role="diversity",
            coordinate="diversity",
            better="nearer to human",
            source="Liu et al. 2022, equation 3",
            signature=f"n:{n}|scope:cell|tok:generator|end token:no|V:the tokenizer's vocabulary",
            stats=partial(ead_stats, n=n),
            aggregate=ead,
            undefined="no text has so many tokens",
            over_all=True,
        )
        for n in GRAMS
    ),
    Metric(
        name="entropy_2",
        label="entropy of word pairs",
        axis="entropy of word pairs (nats)",
        unit="nats",
        role="diversity",
        coordinate="diversity",
        better="nearer to human",
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
        axis="seq-rep-4 (repeated / all 4-grams of a text)",
        unit="share, 0 to 1",
        role="repetition",
        better="nearer to human",
        source="Welleck et al. 2020",
        signature="n:4|tok:generator|end token:no|pooled over texts",
        stats=seq_rep_stats,
        aggregate=ratio,
        undefined="no text has four tokens",
    ),
)
