"""Counting by arrays against counting by dictionaries: the same numbers, to the byte."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from random_routing.metrics import ngrams as counting
from random_routing.metrics.helpers.gram_arrays import numbered
from random_routing.metrics.helpers.jackknife import centred, counted, pseudo_values
from random_routing.metrics.helpers.portions import Lazy, portions
from random_routing.metrics.helpers.ragged import Ragged, as_ragged, concatenated, equal
from random_routing.metrics.helpers.words import words
from random_routing.metrics.metric import CellTexts
from random_routing.metrics.ngrams import distinct_stats, entropy_stats, ngrams, seq_rep_stats
from random_routing.resampling.intervals import resampled_all
from random_routing.resampling.weights import Drawn
from tests.helpers.cell_texts import cell


def made_up(examples: np.ndarray, vocabulary: int) -> CellTexts:
    draw = np.random.Generator(np.random.Philox(int(examples.sum())))
    lengths = draw.integers(0, 30, len(examples))
    texts = [" ".join(f"w{i}" for i in draw.zipf(1.3, n) % vocabulary) for n in lengths]
    return cell(texts, example=examples, examples=int(examples.max()) + 1)


CELLS = [
    made_up(np.arange(300), 500),
    made_up(np.tile(np.arange(40), 3), 50),  # not in the order of the examples
    made_up(np.repeat(np.arange(50), 2), 10**6),
    cell(["", "a", ""]),
]


@pytest.mark.parametrize("texts", CELLS, ids=["one each", "by sample", "by example", "empty"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_distinct_and_entropy_are_those_of_dictionaries(
    texts: CellTexts, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [ngrams(words(text), n) for text in texts.texts]
    owners: dict[Any, set[int]] = {}
    for row, example in zip(rows, texts.example.tolist(), strict=True):
        for gram in row:
            owners.setdefault(gram, set()).add(example)
    alone = Counter(next(iter(own)) for own in owners.values() if len(own) == 1)
    names, first = np.unique(texts.example, return_index=True)
    expected = centred(len(owners), [alone[name] for name in names.tolist()], first, len(rows))
    assert distinct_stats(texts, n)[:, 0].tobytes() == expected.tobytes()
    entropies = entropy_by_dictionaries(texts, rows).tobytes()
    assert entropy_stats(texts, n).tobytes() == entropies
    monkeypatch.setattr(counting, "TOKENS", 50)  # many blocks of examples
    assert entropy_stats(texts, n).tobytes() == entropies


def entropy_by_dictionaries(texts: CellTexts, rows: list[list[tuple]]) -> np.ndarray:
    def weighted(count: int) -> float:
        return count * math.log(count) if count else 0.0

    def entropy(total: int, sums: float) -> float:
        return math.log(total) - sums / total if total else math.nan

    own, counts = counted(texts.example, rows), Counter[Any]()
    for grams in own:
        counts.update(grams)
    total, whole = counts.total(), sum(map(weighted, counts.values()))
    without = []
    for grams in own:
        loss = sum(weighted(counts[g]) - weighted(counts[g] - c) for g, c in grams.items())
        without.append(entropy(total - grams.total(), whole - loss))
    return pseudo_values(entropy(total, whole), np.array(without), texts.example)


def test_repeated_ngrams_are_counted_in_each_text() -> None:
    ids = [[1, 2, 1, 2, 1], [], [1, 2], [7] * 6]
    found = seq_rep_stats(cell(["x"] * 4, token_ids=ids), 2)
    assert found.tolist() == [[2, 4], [0, 0], [0, 1], [4, 5]]


def test_numbers_of_ngrams_never_overflow() -> None:
    """Three words of a vocabulary of 2³¹ are 2⁹³: they are ranked on the way."""
    tokens = concatenated([[2**31 - 1, 5, 2**31 - 1, 5], [5, 2**31 - 1, 5]], np.int32)
    found, bound, lengths = numbered(tokens, 3)
    assert lengths.tolist() == [2, 1] and found.max() < bound < 2**62
    assert found[1] == found[2] != found[0]


def test_rows_in_one_array() -> None:
    rows = as_ragged([[1, 2, 3], [], [4]])
    assert len(rows) == 3 and [row.tolist() for row in rows] == [[1, 2, 3], [], [4]]
    assert rows[-1].tolist() == [4] and rows.lengths.tolist() == [3, 0, 1]
    assert [row.tolist() for row in rows.shortened(np.array([1, 0, 1]))] == [[1, 2], [], []]
    assert [row.tolist() for row in rows.take(np.array([2, 0]))] == [[4], [1, 2, 3]]
    assert equal(rows, Ragged(rows.values.copy(), rows.edges.copy())) and equal(rows, [[1, 2, 3], [], [4]])
    assert not equal(rows, as_ragged([[1, 2], [3], [4]])) and len(as_ragged([])) == 0


def test_weights_that_are_drawn_anew_have_the_law_of_those_that_are_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows sum to E; mean 1, variance 1 − 1/E, covariance −1/E, within 6 standard errors each."""
    examples, resamples = 50, 4000
    drawn = Drawn(examples, resamples, 2**64 - 1)
    weights = drawn @ np.eye(examples)
    assert weights.shape == drawn.shape == (resamples, examples) and len(drawn) == resamples
    assert (weights.sum(1) == examples).all()
    assert np.abs(weights.mean(0) - 1).max() < 6 / math.sqrt(resamples)
    assert np.abs(weights.var(0) - (1 - 1 / examples)).max() < 6 * 2 / math.sqrt(resamples)
    between = np.cov(weights[:, 0], weights[:, 1])[0, 1]
    assert abs(between + 1 / examples) < 6 / math.sqrt(resamples)
    assert (weights[0] != weights[1]).any() and (
        Drawn(examples, 1, 1) @ np.eye(examples) != weights[:1]
    ).any()
    chosen = np.array([3, 1, 4])
    assert np.array_equal(drawn[:, chosen] @ np.eye(3), weights[:, chosen])
    assert np.array_equal(drawn[:, chosen][:, [2, 0]] @ np.eye(2), weights[:, [4, 3]])
    stats = [np.arange(100.0).reshape(examples, 2), np.ones((examples, 1))]
    monkeypatch.setattr(
        "random_routing.resampling.weights.BLOCK", 7 * examples
    )  # the blocks leave no trace
    items = [(of_metric, lambda sums: sums[..., 0]) for of_metric in stats]
    for found, own in zip(resampled_all(drawn, items), stats, strict=True):
        assert np.allclose(found.resamples, (weights @ own)[:, 0], rtol=1e-12)
        assert found.value == own[:, 0].sum() and found.examples == examples


def test_portions_are_full_and_nothing_is_computed_twice() -> None:
    there, found = {"c"}, []
    for portion in portions(
        ["ab", "bc", "d", "a", "e"], lambda batch: [x for x in batch if x not in there], 3
    ):
        found.append(portion)
        there.update(portion)
    assert found == [["a", "b", "d"], ["e"]]


def test_a_cell_is_made_when_it_is_asked_for_and_not_kept() -> None:
    asked: list[str] = []

    def make(name: str) -> CellTexts:
        asked.append(name)
        return cell([name])

    texts = Lazy(["a", "b"], make)
    assert list(texts) == ["a", "b"] and not asked
    assert texts["b"].texts == ["b"] and texts["b"] is not texts["b"] and asked == ["b"] * 3
    with pytest.raises(KeyError):
        texts["c"]
