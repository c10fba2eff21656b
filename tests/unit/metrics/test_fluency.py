"""Perplexity and similarity: what is pooled, what is missing, what is infinite."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from random_routing.metrics.fluency import generator_stats, judge_stats, perplexity
from random_routing.metrics.relevance import context_stats
from tests.helpers.cell_texts import cell, value


def test_generator_statistics_by_hand() -> None:
    """Nats are summed with their sign turned; a text without tokens adds (0, 0)."""
    rows = cell(["a", "", "b"], model_logprobs=[np.log([0.5, 0.25]), np.empty(0), np.log([0.125])])
    expected = [[3 * math.log(2), 2], [0, 0], [3 * math.log(2), 1]]
    assert generator_stats(rows) == pytest.approx(np.array(expected))
    assert value("generator_perplexity", rows) == pytest.approx(4)  # 6 bits over 3 tokens


def test_float32_log_probabilities_are_summed_in_float64() -> None:
    """2²⁴ + 1 is the first whole number that float32 cannot hold."""
    rows = cell(["a"], model_logprobs=[np.array([-(2.0**24), -1.0], dtype=np.float32)])
    assert generator_stats(rows)[0, 0] == 2**24 + 1


def test_impossible_token_is_infinite_not_missing() -> None:
    """A token of probability 0 has infinite perplexity: honest, and neither 0 nor NaN."""
    rows = cell(["a"], model_logprobs=[np.array([-np.inf, -1.0])])
    assert value("generator_perplexity", rows) == math.inf


def test_no_tokens_at_all_is_missing() -> None:
    rows = cell(["", ""], judge_nll=np.zeros(2), judge_tokens=np.zeros(2, dtype=int))
    assert math.isnan(value("perplexity", rows))


def test_certain_tokens_have_perplexity_one() -> None:
    rows = cell(["a"], judge_nll=np.zeros(1), judge_tokens=np.array([3]))
    assert value("perplexity", rows) == 1


@settings(max_examples=80)
@given(st.lists(st.tuples(st.floats(0, 50), st.integers(1, 40)), min_size=1, max_size=8))
def test_pooled_perplexity_lies_between_its_texts(rows: list[tuple[float, int]]) -> None:
    nll, tokens = (np.array(side) for side in zip(*rows, strict=True))
    stats = judge_stats(cell(["a"] * len(rows), judge_nll=nll, judge_tokens=tokens))
    each, pooled = perplexity(stats), float(perplexity(stats.sum(0)))
    assert each.min() * (1 - 1e-9) <= pooled <= each.max() * (1 + 1e-9)
    assert pooled == pytest.approx(float(perplexity(stats[::-1].sum(0))))


def test_opposite_vectors_and_several_texts_of_an_example() -> None:
    """cos(0°), cos(180°) and cos(90°): mean 0; the newline's vector (cosine 1) must not count."""
    unit = np.array([[1.0, 0], [-1, 0], [0, 1], [1, 0]])
    rows = cell(["a", "b", "c", "\n"], text_embeddings=unit, example=np.array([0, 0, 1, 1]), examples=2)
    assert context_stats(rows).tolist() == [[1, 1], [-1, 1], [0, 1], [0, 0]]
    assert value("context_similarity", rows) == 0


def test_the_gap_to_human_texts_by_hand() -> None:
    """3 nats a token against 2: 1 too surprising; 1.5 against 2: 0.5 too predictable."""
    for nll, gap in ((6.0, 1.0), (3.0, 0.5)):
        texts = cell(["ab"], judge_nll=np.array([nll]), judge_tokens=np.array([2]),
                     human_nll=np.array([8.0]), human_tokens=np.array([4]))  # fmt: skip
        assert value("fluency_gap", texts) == pytest.approx(gap)
    empty = cell(
        [""], judge_nll=np.zeros(1), judge_tokens=np.zeros(1), human_nll=np.ones(1), human_tokens=np.ones(1)
    )
    assert math.isnan(value("fluency_gap", empty))


def test_nats_a_byte_by_hand() -> None:
    assert value("nats_per_byte", cell(["é!"], judge_nll=np.array([6.0]))) == 2.0  # three bytes
