"""Several texts of one prompt: hand counts and sacrebleu."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sacrebleu

from random_routing.metrics import METRICS, CellTexts
from random_routing.metrics.within_prompt import best, groups
from tests.helpers.cell_texts import cell, value

TEXTS = [
    "the cat sat on the mat",
    "the dog sat on the mat",
    "a bird",
    "",
    "two cats sat here",
    "two cats ran",
]
EXAMPLE = np.array([0, 0, 1, 1, 2, 2])
REFERENCES = [["a cat sat on the mat"]] * 2 + [["the bird sings"]] * 2 + [["two cats sat there"]] * 2


def three(**given: Any) -> CellTexts:
    return cell(TEXTS, **{"example": EXAMPLE, "examples": 3, "references": REFERENCES, **given})


def test_distinct_among_samples_by_hand() -> None:
    """Word pairs: 5 + 5, of which 'sat on', 'on the', 'the mat' twice: 7 of 10; 'a bird': 1 of 1; 4 of 5."""
    assert value("sample_distinct_2", three()) == pytest.approx((7 + 1 + 4) / (10 + 1 + 5))


def test_pairwise_bleu_is_sacrebleus_of_all_ordered_pairs() -> None:
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b and EXAMPLE[a] == EXAMPLE[b]]
    texts, others = [TEXTS[a] for a, _ in pairs], [TEXTS[b] for _, b in pairs]
    expected = sacrebleu.corpus_bleu(texts, [others], force=True).score
    assert value("pairwise_bleu", three()) == pytest.approx(expected)
    assert value("pairwise_bleu", cell(["a b c d e"] * 3, example=np.zeros(3, dtype=int))) == pytest.approx(
        100
    )


@pytest.mark.parametrize(
    ("name", "sentence", "corpus"),
    [
        ("oracle_bleu", sacrebleu.sentence_bleu, sacrebleu.corpus_bleu),
        ("oracle_chrf", sacrebleu.sentence_chrf, sacrebleu.corpus_chrf),
    ],
)
def test_the_oracle_takes_the_best_text_of_each_example(name: str, sentence: Any, corpus: Any) -> None:
    scores = [sentence(text, refs).score for text, refs in zip(TEXTS, REFERENCES, strict=True)]
    chosen = [max(own, key=lambda row: (scores[row], -row)) for own in groups(EXAMPLE)]
    expected = corpus([TEXTS[i] for i in chosen], [[REFERENCES[i][0] for i in chosen]]).score
    assert value(name, three()) == pytest.approx(expected)
    assert value(name, three()) >= value(name.removeprefix("oracle_"), three())


def test_the_nearest_text_is_not_an_empty_one() -> None:
    angle = np.array([0.1, 0.5, 1.2, 0.0, 0.3, 0.3])  # radians from the reference; the fourth text is empty
    texts = three(text_embeddings=np.stack([np.cos(angle), np.sin(angle)], axis=1))
    assert value("oracle_similarity", texts) == pytest.approx(np.cos([0.1, 1.2, 0.3]).mean())
    assert np.isnan(value("oracle_similarity", cell([""])))


def test_best_is_the_first_of_equals() -> None:
    assert best(np.array([1.0, 1.0, 0.0, 2.0]), np.array([0, 0, 1, 1])).tolist() == [1, 0, 0, 1]


def test_one_text_an_example_is_too_few() -> None:
    for name in ("sample_distinct_2", "pairwise_bleu", "oracle_bleu", "oracle_chrf", "oracle_similarity"):
        assert METRICS[name].missing(1000, 1) == "needs 2 texts an example; there is 1"
        assert METRICS[name].missing(2, 2) is None
