"""Metrics against literals, the libraries they stand for, and degenerate input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from random_routing.metrics import METRICS, MODULES, Metric
from random_routing.metrics.helpers.languages import WITH_SPACES
from random_routing.metrics.helpers.words import words
from random_routing.metrics.metric import ratio
from random_routing.metrics.selfbleu import self_bleu_stats
from random_routing.metrics.translation import signatures
from random_routing.settings.tasks import TEXT_KINDS
from tests.helpers.cell_texts import cell, cell_for, nltk_self_bleu, value

TEXTS = [
    "the cat sat on the mat",
    "the cat sat on a chair, quietly.",
    "dogs bark",
    "the dog sat on the mat",
    "Ünïcode — 漢字 and emoji 🎲🎲!",
]


def test_a_metric_is_defined_once() -> None:
    assert len(METRICS) == sum(len(module.METRICS) for module in MODULES)


def test_what_a_comparison_can_be_of() -> None:
    for m in METRICS.values():
        assert m.coordinate != "diversity" or m.role in ("diversity", "sameness")
        assert m.coordinate != "quality" or m.better in ("higher", "lower")


def test_nearness_to_the_human_text_is_perfect_for_that_text_itself() -> None:
    """So that its own value says nothing."""
    lengths = np.array([len(text) for text in TEXTS])
    human = cell(TEXTS, human_nll=2.0 * lengths, human_tokens=lengths)
    best = {
        "bleu": 100, "bleu_2": 100, "chrf": 100, "ter": 0, "oracle_bleu": 100, "oracle_chrf": 100, "mauve": 1,
        "reference_similarity": 1, "oracle_similarity": 1, "fluency_gap": 0,
    }  # fmt: skip
    for name, perfect in best.items():
        assert value(name, human) == pytest.approx(perfect)
    others = {"human_distance", "told_apart"}  # distributions, of more texts: test_against_people.py
    of_texts = {m.name for m in METRICS.values() if m.against_human and {*m.kinds} & {*TEXT_KINDS}}
    assert of_texts == {*best, *others}


def test_distinct_by_hand() -> None:
    """'a b a', 'b c': unigrams a b a b c → 3/5; bigrams ab ba bc → 3/3; trigrams aba → 1/1."""
    texts = cell(["a b a", "b c"])
    assert value("distinct_1", texts) == pytest.approx(3 / 5)
    assert value("distinct_2", texts) == value("distinct_3", texts) == 1
    assert value("distinct_1", cell(["a b"] * 4)) == pytest.approx(2 / 8)


def test_seq_rep_by_hand() -> None:
    """1 2 3 4 1 2 3 4: five 4-grams, one twice → 1/5. Short texts have none."""
    texts = cell(["x", "y"], token_ids=[[1, 2, 3, 4, 1, 2, 3, 4], [1, 2]])
    assert value("seq_rep_4", texts) == pytest.approx(1 / 5)
    assert math.isnan(value("seq_rep_4", cell(["x"], token_ids=[[1, 2, 3]])))


def has_words(texts: list[str]) -> bool:
    return any(map(words, texts))


@pytest.mark.parametrize(
    "texts",
    [TEXTS, ["a"] * 3, ["", "a b"], ["a b c d e", "a b c d e"], ["a", "b"], ["x y", "y x", "x y z"]],
)
def test_self_bleu_is_nltk(texts: list[str]) -> None:
    assert self_bleu_stats(cell(texts))[:, 0].tolist() == pytest.approx(nltk_self_bleu(texts), abs=1e-12)


@settings(max_examples=60)
@given(st.lists(st.text(alphabet="ab c", max_size=12), min_size=2, max_size=6).filter(has_words))
def test_self_bleu_is_nltk_on_anything(texts: list[str]) -> None:
    assert self_bleu_stats(cell(texts))[:, 0].tolist() == pytest.approx(nltk_self_bleu(texts), abs=1e-12)


def test_self_bleu_of_one_text_or_of_none_with_words_is_missing() -> None:
    """0 would say that they have nothing in common."""
    assert math.isnan(value("self_bleu", cell(["alone"])))
    assert math.isnan(value("self_bleu", cell(["", " "])))


def test_perplexity_is_exp_of_nats_a_token_over_all_texts() -> None:
    """(2·1 + 6·3) nats over 4 tokens: exp(5), not the mean of exp(2) and exp(6)."""
    texts = cell(["a", "b"], judge_nll=np.array([2.0, 18.0]), judge_tokens=np.array([1, 3]))
    assert value("perplexity", texts) == pytest.approx(math.exp(5))
    assert value("generator_perplexity", cell(["ab"])) == pytest.approx(math.e)
    assert math.isnan(value("generator_perplexity", cell(["ab"], model_logprobs=[np.empty(0)])))


def test_similarity_leaves_empty_texts_to_their_own_metric() -> None:
    texts = cell(["a", " \n"], text_embeddings=np.array([[0.6, 0.8], [1.0, 0.0]]))
    assert value("context_similarity", texts) == pytest.approx(0.6)
    assert value("empty", texts) == 0.5
    assert math.isnan(value("reference_similarity", cell(["", ""])))


def test_sacrebleu_golden_values() -> None:
    """The example of sacrebleu's README: BLEU 48.530827, chrF2 59.73 with two references."""
    texts = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
    references = [
        ["The dog bit the man.", "The dog had bit the man."],
        ["It was not unexpected.", "No one was surprised."],
        ["The man bit him first.", "The man had bitten the dog."],
    ]
    scored = cell(texts, references=references)
    assert value("bleu", scored) == pytest.approx(48.530827, abs=1e-6)
    assert value("chrf", scored) == pytest.approx(59.73, abs=0.005)


WORD = st.sampled_from(["the", "cat", "sat", "on", "mat", "a", "dog", ".", "ran"])
SENTENCE = st.lists(WORD, max_size=9).map(" ".join)
LINE = st.tuples(SENTENCE, st.lists(SENTENCE.filter(bool), min_size=1, max_size=2))


@settings(max_examples=80)
@given(st.lists(LINE, min_size=1, max_size=5))
def test_translation_metrics_are_sacrebleus(lines: list[tuple[str, list[str]]]) -> None:
    """Also with empty texts, no match, and a varying number of references; no BLEU where no text has four words, of
    which sacrebleu says 0.
    """
    texts, references = [line[0] for line in lines], [line[1] for line in lines]
    streams: Any = [[r[i] if i < len(r) else None for r in references] for i in range(2)]
    if not any(streams[1]):
        streams = streams[:1]
    scored = cell(texts, references=references, language=WITH_SPACES)
    expected = sacrebleu.corpus_bleu(texts, streams)
    undefined = any(texts) and not all(expected.totals)
    assert value("bleu", scored) == pytest.approx(
        math.nan if undefined else expected.score, abs=1e-9, nan_ok=True
    )
    assert value("chrf", scored) == pytest.approx(sacrebleu.corpus_chrf(texts, streams).score, abs=1e-9)
    assert value("ter", scored) == pytest.approx(sacrebleu.corpus_ter(texts, streams).score, abs=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_aggregates_work_on_many_sums_at_once(name: str) -> None:
    metric = METRICS[name]
    stats = metric.stats(cell_for(name, TEXTS))
    assert stats.shape[0] == len(TEXTS) and stats.dtype == np.float64
    sums = np.stack([stats.sum(0), 2 * stats.sum(0), stats[:2].sum(0)])
    many = metric.aggregate(sums)
    assert many.shape == ((3, 5) if name == "mauve" else (3,))
    assert many == pytest.approx(np.stack([metric.aggregate(row) for row in sums]), nan_ok=True)
    if not name.startswith("ead"):  # which is made to depend on the size
        assert many[0] == pytest.approx(many[1], nan_ok=True), "a corpus twice as large scores the same"


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("texts", [[""], ["\n"], ["", ""], ["a"], ["é"], ["\x00\ufffd"]], ids=repr)
def test_degenerate_texts_give_a_value_or_nan(name: str, texts: list[str]) -> None:
    result = value(name, cell_for(name, texts))
    assert isinstance(result, float)  # and no exception


@pytest.mark.parametrize("name", METRICS)
def test_order_of_examples_does_not_matter(name: str) -> None:
    assert value(name, cell_for(name, TEXTS)) == pytest.approx(
        value(name, cell_for(name, TEXTS[::-1])), nan_ok=True
    )


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_says_what_it_is(metric: Metric) -> None:
    assert metric.label and metric.unit and metric.source and metric.undefined
    fixed = {
        "judge": "j",
        "given": "g",
        "model": "m",
        "embedder": "e",
        "dtype": "d",
        "opening": "<s>",
        "pooling": "p",
        "choices": "a, b",
    }
    assert metric.signature.format(**fixed, **signatures(WITH_SPACES)) != ""
    assert metric.missing(10**6, 10**6) is None
    if metric.needs:
        assert "needs" in str(metric.missing(1, 1))


def test_bleu_of_words_too_few_for_its_n_grams_is_missing() -> None:
    """A right translation of one word has no 4-gram: 0 would call it wrong. An empty one has nothing in common."""
    for name in ("bleu", "oracle_bleu"):
        assert math.isnan(value(name, cell(["OK", "Yes!"])))
        assert value(name, cell([""], references=[["OK"]])) == 0
    assert math.isnan(value("bleu_2", cell(["OK"]))) and value("bleu_2", cell(["OK yes"])) == pytest.approx(
        100
    )
    assert METRICS["bleu"].undefined == "no text has four words"


def test_texts_of_which_the_judge_sees_no_token_have_no_bytes_either() -> None:
    """0 nats over one byte would be the best fluency of all; some tokenizers drop white space."""
    texts = cell(["ab", " "], judge_nll=np.array([6.0, 0.0]), judge_tokens=np.array([2, 0]))
    assert value("nats_per_byte", texts) == 3
    nothing = cell([" "], judge_nll=np.zeros(1), judge_tokens=np.zeros(1))
    assert math.isnan(value("nats_per_byte", nothing))
    assert value("nats_per_byte", cell(["abc"], judge_nll=np.array([4.0]), judge_unread=np.array([1]))) == 2


SILENT = {  # a text of no word is told by `empty`: these must not rank it
    "distinct_1", "distinct_2", "distinct_3", "entropy_2", "zipf", "self_bleu", "sample_distinct_2", "pairwise_bleu",
    "context_similarity", "reference_similarity", "oracle_similarity",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SILENT))
@pytest.mark.parametrize("texts", [[""], [" \n"], ["", " "], ["\t", "\u3000"]], ids=repr)
def test_texts_without_words_are_missing_not_zero(name: str, texts: list[str]) -> None:
    assert math.isnan(value(name, cell(texts)))


def test_punctuation_is_a_word() -> None:
    texts = cell(["...", "?!", "..."])
    assert value("distinct_1", texts) == pytest.approx(2 / 3)
    assert math.isnan(value("distinct_2", texts)) and value("empty", texts) == 0


def test_thinking_is_told_by_either_mark() -> None:
    """Some templates write <think> before the answer, so that only its end is in the text."""
    texts = cell(["<think>\nwell", "well</think> yes", "I think", ""])
    assert value("thinking", texts) == 0.5 and METRICS["thinking"].better == "lower"


SAID = {
    "seq_rep_4": "pooled over texts", "generator_perplexity": "end token:yes", "perplexity": "opening:{opening}",
    "nats_per_byte": "tokenized apart", "fluency_gap": "end token:no", "context_similarity": "empty texts:left out",
    "reference_similarity": "first reference", "oracle_similarity": "empty texts:left out",
    "vendi": "empty texts:as equal ones", "mauve": "{pooling}", "self_bleu": "at most 1000, keyed",
    "length": "end token:no", "ead_2": "end token:no",
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_signatures_say_what_fixes_the_number(name: str) -> None:
    assert SAID[name] in METRICS[name].signature


def test_undefined_ratio_is_nan_not_zero() -> None:
    assert math.isnan(float(ratio(np.array([0.0, 0.0]))))
