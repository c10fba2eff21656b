"""Diversity: published golden values, hand counts, and what its statistics promise the bootstrap."""

from __future__ import annotations

import gzip
import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress

from random_routing.metrics import METRICS
from random_routing.metrics.compression import compression_stats
from random_routing.metrics.helpers.words import words
from random_routing.metrics.ngrams import distinct_stats, entropy_stats, seq_rep_stats
from random_routing.metrics.selfbleu import self_bleu_stats
from random_routing.metrics.zipf import zipf_stats
from tests.helpers.cell_texts import cell, nltk_self_bleu, value

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


def test_distinct_influences_by_hand() -> None:
    """Rows 'a a b' and 'a': 2 types, of which the first row alone has b, the second none: 2/2 ± 1/2."""
    assert distinct_stats(cell(["a a b", "a"]), 1).tolist() == [[1.5, 3], [0.5, 1]]
    # two texts of one example count as one, in its first row: a is the example's own then
    stats = distinct_stats(cell(["a", "a c", "b"], example=np.array([0, 0, 1]), examples=2), 1)
    assert stats.tolist() == [[3 / 2 + 1 / 2, 1], [0, 2], [3 / 2 - 1 / 2, 1]]


def test_influences_are_those_of_leaving_an_example_out() -> None:
    random = np.random.Generator(np.random.Philox(3))
    texts = [" ".join(f"w{i}" for i in random.integers(0, 12, 8)) for _ in range(6)]
    without = [texts[:i] + texts[i + 1 :] for i in range(6)]
    for n in (1, 2):
        unique = [distinct_stats(cell(rest), n)[:, 0].sum() for rest in without]
        influence = -np.array(unique) + np.mean(unique)
        stats = distinct_stats(cell(texts), n)[:, 0]
        assert stats - stats.mean() == pytest.approx(influence)
    entropies = np.array([value("entropy_2", cell(rest)) for rest in without])
    stats = entropy_stats(cell(texts), 2)[:, 0]
    assert stats - stats.mean() == pytest.approx(5 * (entropies.mean() - entropies))
    assert stats.mean() == pytest.approx(value("entropy_2", cell(texts)))


def test_ead_by_hand() -> None:
    """3 unique of 4 tokens, vocabulary 10: 10·(1 − 0.9⁴) = 3.439 are expected of 4 draws."""
    texts = cell(["x"], token_ids=[[1, 2, 2, 3]], vocabulary=10)
    assert value("ead_1", texts) == pytest.approx(3 / 3.439)
    assert value("ead_2", texts) == pytest.approx(3 / (10 * (1 - 0.9**3)))
    assert math.isnan(value("ead_1", cell([""], token_ids=[[]], vocabulary=10)))
    # drawn uniformly, EAD is near 1 at any length, where distinct-1 falls with it
    ids = np.random.Generator(np.random.Philox(1)).integers(0, 500, 2000).tolist()
    for length in (100, 2000):
        drawn = cell(["x"], token_ids=[ids[:length]], vocabulary=500)
        assert value("ead_1", drawn) == pytest.approx(1, abs=0.1)


def test_entropy_by_hand() -> None:
    """Word pairs ab, ba, ab: −(2/3)·log(2/3) − (1/3)·log(1/3) nats."""
    expected = -(2 / 3) * math.log(2 / 3) - (1 / 3) * math.log(1 / 3)
    assert value("entropy_2", cell(["a b a b"])) == pytest.approx(expected)
    assert value("entropy_2", cell(["a b", "c d", "e f", "g h"])) == pytest.approx(math.log(4))
    assert math.isnan(value("entropy_2", cell(["a", ""])))


def test_case_and_script_are_kept() -> None:
    assert words("The the, Größe!") == ("The", "the", ",", "Größe", "!")
    assert value("distinct_1", cell(["The the"])) == 1


@settings(max_examples=80)
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
    assert self_bleu_stats(cell(texts))[:, 0].tolist() == pytest.approx(nltk_self_bleu(texts), abs=1e-12)


def test_seq_rep_weighs_texts_by_length() -> None:
    """Seven times one token: four 4-grams, three of them repeats; 1 2 3 4 has one and no repeat."""
    texts = cell(["x", "y"], token_ids=[[9] * 7, [1, 2, 3, 4]])
    assert seq_rep_stats(texts).tolist() == [[3, 4], [0, 1]]
    assert value("seq_rep_4", texts) == pytest.approx(3 / 5)


def test_length_and_empty_by_hand() -> None:
    texts = cell(["", "\n", " \t", "a", "é"], token_ids=[[], [1], [1, 2], [1, 2, 3], [4]])
    assert value("length", texts) == pytest.approx(7 / 5)
    assert value("empty", texts) == pytest.approx(3 / 5)


def test_self_bleu_takes_a_keyed_subsample() -> None:
    """Of 30 texts the 10 with the smallest noise, wherever they stand; the others count as nothing."""
    draw = random.Random(3)
    texts = [" ".join(draw.choices("abcdefg", k=12)) for _ in range(30)]
    order = np.random.Generator(np.random.Philox(1)).random(30)
    taken = np.argsort(order)[:10]
    stats = self_bleu_stats(cell(texts, order=order), most=10)
    assert set(np.flatnonzero(stats[:, 1])) == set(taken)
    assert stats[taken, 0].tolist() == pytest.approx(nltk_self_bleu([texts[i] for i in taken]), abs=1e-12)
    assert "texts:at most 1000, keyed" in METRICS["self_bleu"].signature


def zipf(counts: list[int]) -> float:
    counts = sorted(counts, reverse=True)[:5000]
    return -float(linregress(np.log(np.arange(1, len(counts) + 1)), np.log(counts)).slope)


def test_zipf_is_scipys_line() -> None:
    """Holtzman et al. fit it with scipy's linregress over the first 5,000 ranks."""
    draw = np.random.Generator(np.random.Philox(7))
    texts = [" ".join(f"w{i}" for i in draw.zipf(1.5, 30).clip(max=10**6)) for _ in range(40)]
    counts = list(Counter(word for text in texts for word in words(text)).values())
    assert value("zipf", cell(texts)) == pytest.approx(zipf(counts), abs=1e-12)
    many = [f"v{i} u{i // 3}" for i in range(6000)]
    counts = list(Counter(word for text in many for word in words(text)).values())
    assert value("zipf", cell(many)) == pytest.approx(zipf(counts), abs=1e-9)
    # by hand: counts 4 and 2 fall by log 2 over log 2
    assert value("zipf", cell(["a a a a b b"])) == pytest.approx(1)
    assert value("zipf", cell(["a b c d"])) == pytest.approx(0)  # noise is flat
    assert math.isnan(value("zipf", cell(["a a a"])))


def test_zipf_influences_are_those_of_leaving_an_example_out() -> None:
    draw = np.random.Generator(np.random.Philox(8))
    texts = [" ".join(f"w{i}" for i in draw.zipf(1.6, 20).clip(max=50)) for _ in range(8)]
    without = np.array([value("zipf", cell(texts[:i] + texts[i + 1 :])) for i in range(8)])
    expected = value("zipf", cell(texts)) + 7 * (without.mean() - without)
    assert zipf_stats(cell(texts))[:, 0] == pytest.approx(expected)


def test_compression_ratio_is_gzips() -> None:
    texts = ["the cat sat", "a dog ran", "the cat sat on the mat"]
    raw = "".join(f"{text}\n" for text in sorted(texts)).encode()
    expected = len(raw) / len(gzip.compress(raw, 9, mtime=0))
    assert value("compression_ratio", cell(texts)) == pytest.approx(expected)
    same = value("compression_ratio", cell(["the very same text, again and again"] * 50))
    assert same > 20 > value("compression_ratio", cell([f"{i * 7919:x}" for i in range(50)]))


def test_compression_influences_are_near_those_of_leaving_an_example_out() -> None:
    """60 texts, of which every third is there twice: what gzip saves without a text, against what the
    text costs beside its neighbours: the spread is at least the exact one and not twice as wide."""
    draw = random.Random(4)
    vocabulary = ["".join(draw.choices("abcdefghij", k=draw.randint(2, 9))) for _ in range(80)]
    texts = [" ".join(draw.choices(vocabulary, k=draw.randint(3, 30))) for _ in range(40)]
    texts += texts[::2]

    def size(rows: list[str]) -> int:
        return len(gzip.compress("".join(f"{row}\n" for row in sorted(rows)).encode(), 9, mtime=0))

    exact = np.array([size(texts) - size(texts[:i] + texts[i + 1 :]) for i in range(60)])
    found = compression_stats(cell(texts))[:, 1]
    assert found.sum() == pytest.approx(size(texts))
    assert np.corrcoef(found, exact)[0, 1] > 0.95
    assert 1 <= found.std() / exact.std() < 2


def test_texts_by_themselves() -> None:
    texts = ["a", "a ", "b\ufffd\ufffd", ""]
    assert value("distinct_texts", cell(texts)) == pytest.approx(3 / 4)
    assert value("broken", cell(texts)) == pytest.approx(2 / 6)
    assert math.isnan(value("broken", cell([""])))


@settings(max_examples=80)
@given(CELL, st.randoms(use_true_random=False))
@pytest.mark.parametrize(
    "name",
    [
        "distinct_1",
        "distinct_2",
        "distinct_3",
        "self_bleu",
        "seq_rep_4",
        "distinct_texts",
        "broken",
        "empty",
    ],
)
def test_bounds_and_order(name: str, texts: list[str], shuffler: random.Random) -> None:
    result = value(name, cell(texts))
    shuffled = value(name, cell(shuffler.sample(texts, len(texts))))
    assert math.isnan(result) or -1e-12 <= result <= 1 + 1e-12
    assert shuffled == pytest.approx(result, abs=1e-12, nan_ok=True)
