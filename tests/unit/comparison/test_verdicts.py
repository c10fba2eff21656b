"""Verdicts by hand, and at their rates: error of both kinds, and the power that they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from random_routing.comparison.verdicts import Verdict, detectable, judge, needed

CONFIDENCE, TESTS = 0.95, 8


@pytest.mark.parametrize(
    ("value", "error", "delta", "verdict"),
    [
        (0.5, 0.1, 0.2, Verdict.BETTER),
        (-0.5, 0.1, 0.2, Verdict.WORSE),
        (0.1, 0.1, 0.2, Verdict.INCONCLUSIVE),
        (0.05, 0.02, 0.2, Verdict.EQUIVALENT),
        (0.1, 0.01, 0.2, Verdict.EQUIVALENT),  # it is there, and too small to matter
        (0.0, 0.0, 0.2, Verdict.EQUIVALENT),  # the same texts
        (0.3, 0.0, 0.2, Verdict.BETTER),
    ],
)
def test_words(value: float, error: float, delta: float, verdict: Verdict) -> None:
    found = judge(value, error, 32, delta, TESTS, CONFIDENCE)
    assert found.verdict == verdict
    assert found.lo <= value <= found.hi and found.p <= found.p_adjusted <= 1


def test_interval_p_value_and_verdict_agree() -> None:
    """Where the interval ends at 0, the corrected p-value is 5 %."""
    error = 0.1
    value = float(student.isf(0.05 / TESTS / 2, 31)) * error
    found = judge(value, error, 32, 1e-9, TESTS, CONFIDENCE)
    assert found.lo == pytest.approx(0.0, abs=1e-12) and found.p_adjusted == pytest.approx(0.05)


@given(
    value=st.floats(-3, 3), error=st.floats(0, 2), delta=st.floats(0.01, 2), examples=st.integers(2, 300)
)
def test_the_word_is_that_of_the_interval_shown(
    value: float, error: float, delta: float, examples: int
) -> None:
    found = judge(value, error, examples, delta, TESTS, CONFIDENCE)
    within, one_side = -delta < found.lo and found.hi < delta, found.lo > 0 or found.hi < 0
    assert (found.verdict == Verdict.EQUIVALENT) == within
    assert (found.verdict in (Verdict.BETTER, Verdict.WORSE)) == (one_side and not within)


def verdicts(mean: float, examples: int, delta: float, studies: int = 3_000) -> dict[Verdict, float]:
    """Shares of each, of studies of normal differences with a standard deviation of 1."""
    random = np.random.Generator(np.random.Philox(examples))
    draws = random.normal(mean, 1.0, (studies, examples))
    errors = draws.std(1, ddof=1) / examples**0.5
    found = [
        judge(value, error, examples, delta, TESTS, CONFIDENCE).verdict
        for value, error in zip(draws.mean(1).tolist(), errors.tolist(), strict=True)
    ]
    return {verdict: found.count(verdict) / studies for verdict in Verdict}


def test_errors_and_power() -> None:
    """Each share within four standard errors of a binomial of 3,000 (at most .037 in all)."""
    null = verdicts(0.0, 32, delta=1e-9)
    assert null[Verdict.BETTER] + null[Verdict.WORSE] == pytest.approx(0.05 / TESTS, abs=0.006)
    effect = detectable(1 / 32**0.5, 32, TESTS, CONFIDENCE)
    assert verdicts(effect, 32, delta=1e-9)[Verdict.BETTER] == pytest.approx(0.8, abs=0.03)
    examples = needed(1 / 32**0.5, 32, 0.3, TESTS, CONFIDENCE)
    assert verdicts(0.0, examples, delta=0.3)[Verdict.EQUIVALENT] >= 0.77
    at_delta = verdicts(0.3, examples, delta=0.3)
    assert at_delta[Verdict.EQUIVALENT] <= 0.05 / TESTS + 0.006 and at_delta[Verdict.BETTER] >= 0.77


def test_needed_examples_are_counted_from_any_number() -> None:
    of_32, of_200 = (needed(1 / n**0.5, n, 0.3, TESTS, CONFIDENCE) for n in (32, 200))
    assert of_32 == of_200 and needed(1e9, 32, 1e-9, TESTS, CONFIDENCE) == 10_000_000
