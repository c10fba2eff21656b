"""BLEU, chrF and TER: hand-computed scores, and sacrebleu itself over resamples."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
import sacrebleu
from sacrebleu.metrics import BLEU, CHRF, TER

from random_routing.metrics import METRICS
from random_routing.metrics.helpers.languages import WITH_SPACES
from random_routing.metrics.translation import signatures
from tests.helpers.cell_texts import cell, value

SCORERS = {"bleu": BLEU(force=True), "chrf": CHRF(), "ter": TER()}
RANGES = {"bleu": (0, 100), "chrf": (0, 100), "ter": (0, math.inf)}


def test_bleu_by_hand() -> None:
    """Matches 4 of 5, 3 of 4, 2 of 3, 1 of 2, no brevity penalty: (4/5·3/4·2/3·1/2)^¼ = 0.2^¼."""
    rows = cell(["a b c d x"], references=[["a b c d e"]])
    assert value("bleu", rows) == pytest.approx(100 * 0.2**0.25, abs=1e-9)


def test_brevity_penalty_by_hand() -> None:
    """All n-grams of 4 words match, the reference has 5: exp(1 − 5/4)."""
    rows = cell(["a b c d"], references=[["a b c d e"]])
    assert value("bleu", rows) == pytest.approx(100 * math.exp(-0.25), abs=1e-9)


def test_ter_by_hand() -> None:
    """One substitution in 4 words; one shift of a block (a single edit) in 5; an empty text deletes 2."""
    assert value("ter", cell(["a b x d"], references=[["a b c d"]])) == pytest.approx(25)
    assert value("ter", cell(["c d e a b"], references=[["a b c d e"]])) == pytest.approx(20)
    assert value("ter", cell([""], references=[["a b"]])) == pytest.approx(100)


def test_ter_without_reference_words_is_sacrebleus() -> None:
    """Nothing to divide by: sacrebleu says 100 if words must go, 0 if there are none."""
    assert value("ter", cell(["a b"], references=[[""]])) == 100
    assert value("ter", cell([""], references=[[""]])) == 0


def test_chrf_by_hand() -> None:
    """'ab' for 'ac': unigrams 1 of 2, bigrams 0 of 1; precision = recall = 1/4, so F = 1/4."""
    assert value("chrf", cell(["ab"], references=[["ac"]])) == pytest.approx(25)


@pytest.mark.parametrize("text", ["The cat sat on the mat.", "Über 漢字 — 🎲 and more words here"])
def test_endpoints(text: str) -> None:
    same = cell([text] * 2)
    assert [value(name, same) for name in SCORERS] == pytest.approx([100, 100, 0])
    empty = cell(["", "\n"], references=[[text]] * 2)
    assert [value(name, empty) for name in SCORERS] == pytest.approx([0, 0, 100])


def corpus() -> tuple[list[str], list[list[str]]]:
    """24 texts, some empty, with 1 to 3 references each."""
    draw = random.Random(4)
    vocabulary = ["the", "cat", "sat", "on", "mat", "dog", ".", ",", "ran", "über", "漢字", "é", "don't"]
    texts = [" ".join(draw.choices(vocabulary, k=draw.randint(0, 12))) for _ in range(24)]
    references = [
        [" ".join(draw.choices(vocabulary, k=draw.randint(1, 12))) for _ in range(draw.randint(1, 3))]
        for _ in texts
    ]
    return texts, references


@pytest.mark.parametrize("name", SCORERS)
def test_resamples_are_sacrebleus(name: str) -> None:
    """A re-sum of the statistics equals sacrebleu's score of the resampled corpus itself."""
    texts, references = corpus()
    stats = METRICS[name].stats(cell(texts, references=references, language=WITH_SPACES))
    drawn = np.random.Generator(np.random.Philox(6)).integers(0, 24, (25, 24))
    scores = METRICS[name].aggregate(stats[drawn].sum(1))  # (25,)
    for rows, score in zip(drawn, scores, strict=True):
        chosen = [references[i] for i in rows]
        streams: Any = [
            [r[k] if k < len(r) else None for r in chosen] for k in range(max(map(len, chosen)))
        ]
        expected = SCORERS[name].corpus_score([texts[i] for i in rows], streams).score
        assert score == pytest.approx(expected, abs=1e-9, rel=0)
        assert RANGES[name][0] <= score <= RANGES[name][1] + 1e-9


@pytest.mark.parametrize("name", SCORERS)
def test_padding_of_references_changes_nothing(name: str) -> None:
    """A row's statistics are those of its own references alone, whatever number its neighbours have."""
    texts, references = corpus()
    together = METRICS[name].stats(cell(texts, references=references))
    for i, (text, own) in enumerate(zip(texts, references, strict=True)):
        assert np.array_equal(together[i], METRICS[name].stats(cell([text], references=[own]))[0])


@pytest.mark.parametrize("name", SCORERS)
def test_second_reference_counts(name: str) -> None:
    one = value(name, cell(["a b c d e"], references=[["v w x y z"]]))
    two = value(name, cell(["a b c d e"], references=[["v w x y z", "a b c d e"]]))
    assert (one, two) == pytest.approx((100, 0) if name == "ter" else (0, 100))


@pytest.mark.parametrize("name", SCORERS)
def test_aggregate_keeps_leading_axes(name: str) -> None:
    texts, references = corpus()
    stats = METRICS[name].stats(cell(texts, references=references))
    grid = stats.reshape(2, 3, 4, -1).sum(2)
    assert METRICS[name].aggregate(grid).shape == (2, 3)
    assert METRICS[name].aggregate(grid)[1, 2] == pytest.approx(METRICS[name].aggregate(stats[20:].sum(0)))


@pytest.mark.parametrize("name", SCORERS)
def test_signature_names_version_and_varying_references(name: str) -> None:
    signature = METRICS[name].signature.format(**signatures(WITH_SPACES))
    assert f"version:{sacrebleu.__version__}" in signature
    assert "nrefs:var" in signature
    assert "translation" in METRICS[name].kinds
