"""Diversity: published golden values, hand counts, and what its statistics promise the bootstrap."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from pipeline.metrics.diversity import distinct_stats, self_bleu_stats, seq_rep_stats, words
from tests.test_metrics import cell, value

TEXT = st.text(alphabet="ab .é漢\n", max_size=14)
CELL = st.lists(TEXT, min_size=2, max_size=6)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["", "token number one token number two token number three", ""], (5 / 9, 3 / 4, 1)),
        (["token token token token token token token"], (1 / 7, 1 / 6, 1 / 5)),
    ],
    ids=["empty texts among others", "one word repeated"],
)
def test_distinct_is_gems(texts: list[str], expected: tuple[float, ...]) -> None:
    """Values that GEM-metrics' own tests (test_ngram.py) give for these texts."""
    for n, wanted in enumerate(expected, start=1):
        assert value(f"distinct_{n}", cell(texts)) == pytest.approx(wanted, abs=1e-12)


def test_distinct_shares_by_hand() -> None:
    """a occurs 3 times, b once: the rows 'a a b' and 'a' hold 1/3 + 1/3 + 1 and 1/3 of 2 types."""
    assert distinct_stats(cell(["a a b", "a"]), 1).tolist() == [
        [pytest.approx(5 / 3), 3],
        [pytest.approx(1 / 3), 1],
    ]


def test_case_and_script_are_kept() -> None:
    assert words("The the, 漢字!") == ("The", "the", ",", "漢字", "!")
    assert value("distinct_1", cell(["The the"])) == 1


@settings(max_examples=80, deadline=None)
@given(CELL, st.integers(1, 3))
def test_sums_are_unique_and_total(texts: list[str], n: int) -> None:
    grams = [tuple(words(t)[i : i + n]) for t in texts for i in range(len(words(t)) - n + 1)]
    sums = distinct_stats(cell(texts), n).sum(0)
    assert sums.tolist() == [pytest.approx(len(set(grams)), abs=1e-9), len(grams)]


def test_resampling_does_not_bias_distinct_down() -> None:
    """The mean over resamples is the cell's own value; recounting the drawn sets gives much less,
    because an example drawn twice adds words but no new ones.
    """
    texts = [f"w{i} v{i} u{i}" for i in range(40)]  # every word once: distinct-1 is 1
    stats = distinct_stats(cell(texts), 1)
    drawn = np.random.Generator(np.random.Philox(5)).integers(0, 40, 40)
    resampled = stats[drawn].sum(0)
    assert resampled[0] / resampled[1] == 1
    assert value("distinct_1", cell([texts[i] for i in drawn])) < 0.75  # 1 − 1/e in expectation


def test_self_bleu_of_equal_and_of_foreign_texts() -> None:
    assert value("self_bleu", cell(["a b c d e"] * 3)) == pytest.approx(1)
    assert value("self_bleu", cell(["a b c d", "e f g h"])) == 0  # not one word in common


def test_self_bleu_is_nltk_on_a_cell_of_real_size() -> None:
    """64 long texts, so that counts above 1, ties of the largest count, and ties of length occur."""
    draw = random.Random(2)
    texts = [" ".join(draw.choices("abcdefg", k=draw.randint(0, 40))) for _ in range(64)]
    tokens = [list(words(text)) for text in texts]
    smooth = SmoothingFunction().method1
    expected = [
        float(sentence_bleu(tokens[:i] + tokens[i + 1 :], row, smoothing_function=smooth))
        for i, row in enumerate(tokens)
    ]
    assert self_bleu_stats(cell(texts))[:, 0].tolist() == pytest.approx(expected, abs=1e-12)


def test_seq_rep_weighs_texts_by_length() -> None:
    """Seven times one token: four 4-grams, three of them repeats; 1 2 3 4 has one and no repeat."""
    texts = cell(["x", "y"], token_ids=[[9] * 7, [1, 2, 3, 4]])
    assert seq_rep_stats(texts).tolist() == [[3, 4], [0, 1]]
    assert value("seq_rep_4", texts) == pytest.approx(3 / 5)


def test_length_and_empty_by_hand() -> None:
    texts = cell(["", "\n", " \t", "a", "é"], token_ids=[[], [1], [1, 2], [1, 2, 3], [4]])
    assert value("length", texts) == pytest.approx(7 / 5)
    assert value("empty", texts) == pytest.approx(3 / 5)


@settings(max_examples=80, deadline=None)
@given(CELL, st.randoms(use_true_random=False))
@pytest.mark.parametrize("name", ["distinct_1", "distinct_2", "distinct_3", "self_bleu", "seq_rep_4"])
def test_bounds_and_order(name: str, texts: list[str], shuffler: random.Random) -> None:
    result = value(name, cell(texts))
    shuffled = value(name, cell(shuffler.sample(texts, len(texts))))
    assert math.isnan(result) or -1e-12 <= result <= 1 + 1e-12
    assert shuffled == pytest.approx(result, abs=1e-12, nan_ok=True)
