"""Metrics of labels: against scikit-learn, by hand, and where they are undefined."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, log_loss

from random_routing.metrics import METRICS, CellTexts
from random_routing.metrics.sentiment import BINS, calibration, calibration_error
from tests.helpers.cell_texts import cell, value

LABELS = (" negative", " neutral", " positive")


def labels(texts: list[str], true: list[str], samples: int = 1, **given: Any) -> CellTexts:
    """true: of each example."""
    example = np.repeat(np.arange(len(true)), samples)
    references = [[true[i]] for i in example]
    return cell(texts, example=example, examples=len(true), references=references, **given)


@pytest.fixture
def drawn() -> CellTexts:
    """60 examples of 4 labels each, with the laws that they were drawn from; no label of people is neutral."""
    rng = np.random.default_rng(3)
    law = rng.dirichlet([0.5, 0.2, 0.7], 60)
    texts = [LABELS[rng.choice(3, p=row)] for row in law for _ in range(4)]
    true = [LABELS[rng.choice(3, p=row)] for row in law]
    return labels(texts, true, 4, choices=LABELS, choice_probs=np.repeat(law, 4, axis=0))


def test_equal_scikit_learn(drawn: CellTexts) -> None:
    true = [references[0] for references in drawn.references]
    assert value("accuracy", drawn) == pytest.approx(accuracy_score(true, drawn.texts))
    assert value("macro_f1", drawn) == pytest.approx(f1_score(true, drawn.texts, average="macro"))
    loss = log_loss(true, drawn.choice_probs, labels=list(LABELS))
    assert value("label_nll", drawn) == pytest.approx(loss)
    brier = brier_score_loss(true, drawn.choice_probs, labels=list(LABELS), scale_by_half=False)
    assert value("brier", drawn) == pytest.approx(brier)


def test_macro_f1_of_labels_that_only_one_side_has() -> None:
    texts, true = ["a", "a", "b"], ["a", "c", "c"]
    assert value("macro_f1", labels(texts, true)) == pytest.approx(
        f1_score(true, texts, average="macro", zero_division=0)
    )


def test_the_vote_by_hand() -> None:
    """Right by 2 of 3; one of two tied labels, so by half; wrong: 1.5 of 3."""
    texts = ["a", "a", "b", "c", "a", "b", "b", "a", "b", "b", "b", "a"]
    assert value("vote_accuracy", labels(texts, ["a", "a", "a"], 4)) == pytest.approx((1 + 0.5 + 0) / 3)


def test_disagreement_by_hand_and_on_average(drawn: CellTexts) -> None:
    """Of a, a, b two of three pairs differ. On average 1 − Σ P², whatever the number of texts."""
    assert value("disagreement", labels(["a", "a", "b"], ["a"], 3)) == pytest.approx(2 / 3)
    assert value("disagreement", labels(["a", "a", "a"], ["a"], 3)) == 0
    rng, law = np.random.default_rng(0), np.array([0.5, 0.3, 0.2])
    texts = [LABELS[i] for i in rng.choice(3, p=law, size=3 * 20_000)]
    found = value("disagreement", labels(texts, [LABELS[0]] * 20_000, 3))
    assert found == pytest.approx(1 - (law**2).sum(), abs=0.01)  # five standard errors


def test_calibration_by_hand() -> None:
    """Ten examples sure by 0.8 of which seven are right: |0.7 − 0.8|; the sum of bins by count."""
    probs = np.array([[0.8, 0.2]] * 10 + [[0.4, 0.6]] * 10)
    true = np.array([0] * 7 + [1] * 3 + [1] * 9 + [0])
    found = calibration_error(calibration(probs, true, np.arange(20)).sum(0))
    assert found == pytest.approx(0.5 * 0.1 + 0.5 * 0.3)


def test_bins_have_equally_many_examples_and_a_slow_loop_agrees() -> None:
    rng = np.random.default_rng(1)
    probs = rng.dirichlet([1, 1, 1], 200)
    true = rng.integers(0, 3, 200)
    stats = calibration(probs, true, np.arange(200))
    assert stats[:, 2 * BINS :].sum(0).tolist() == [20] * BINS
    order, gap = np.argsort(probs.max(1)), 0.0
    for part in np.split(order, BINS):
        gap += abs((probs[part].argmax(1) == true[part]).mean() - probs[part].max(1).mean()) / BINS
    assert calibration_error(stats.sum(0)) == pytest.approx(gap)


def test_calibration_of_equally_likely_labels() -> None:
    """They know nothing, and say so: of three a third is right by chance, whatever the labels are."""
    probs = np.full((30, 3), 1 / 3)
    assert calibration_error(calibration(probs, np.zeros(30, int), np.arange(30)).sum(0)) == pytest.approx(
        0
    )


def test_more_texts_of_an_example_change_nothing_of_its_law(drawn: CellTexts) -> None:
    first = drawn.first_rows
    one = labels(
        [drawn.texts[i] for i in first], [drawn.references[i][0] for i in first],
        choices=LABELS, choice_probs=drawn.choice_probs[first],
    )  # fmt: skip
    for name in ("label_nll", "brier", "calibration_error", "label_entropy"):
        assert value(name, one) == pytest.approx(value(name, drawn))


def test_impossible_labels_and_unknown_laws_have_no_value(drawn: CellTexts) -> None:
    sure = np.eye(3)[np.zeros(len(drawn.texts), int)]
    greedy = labels(
        drawn.texts,
        [drawn.references[i][0] for i in drawn.first_rows],
        4,
        choices=LABELS,
        choice_probs=sure,
    )
    assert math.isnan(value("label_nll", greedy)) and value("brier", greedy) > 0
    people = labels(["a", "b"], ["a", "b"])
    for name in ("label_nll", "brier", "calibration_error", "label_entropy"):
        assert math.isnan(value(name, people)) and METRICS[name].reads("choices")
        assert not METRICS[name].of_one_text  # it is the decoder's, not the text's
    assert value("accuracy", people) == value("macro_f1", people) == 1
