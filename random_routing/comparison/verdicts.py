"""What a difference shows: better, worse, equivalent, or what it would take to know.

All from one standard error and Student's t, so that a verdict, its interval, its p-value and its power agree. Of K
hypotheses that were named before the run each has the share α/K of the error (Bonferroni), so that all intervals hold
together with confidence 1 − α.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum

from scipy.special import stdtr, stdtrit  # Student's t, much faster than scipy.stats for one number

POWER = 0.8  # the chance to find an effect that is called detectable
MOST = 10_000_000  # examples; more are not counted


class Verdict(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Judged:
    """lo, hi: the simultaneous interval; p: two-sided, of no difference; detectable: the least difference that is found
    with a chance of 80 %; needed: examples with which a difference of Δ is found, and none is told from Δ, each with
    that chance.
    """

    verdict: Verdict
    lo: float
    hi: float
    p: float
    p_adjusted: float
    detectable: float
    needed: int


def judge(value: float, error: float, examples: int, delta: float, tests: int, confidence: float) -> Judged:
    """value, error: the difference and its standard error from `examples`; delta: differences below it do not matter;
    tests: how many were named before.

    Equivalent: the whole interval lies within ±Δ, also where it leaves out 0. (Two one-sided tests, Schuirmann 1987, at
    half of the share each: stricter than usual, so that the interval that is shown and the word agree.)
    """
    share, freedom = (1 - confidence) / tests, max(1, examples - 1)
    half = -float(stdtrit(freedom, share / 2)) * error
    p = 1.0 if error == 0 == value else 2 * float(stdtr(freedom, -abs(value) / error)) if error else 0.0
    lo, hi = value - half, value + half
    if -delta < lo and hi < delta:
        verdict = Verdict.EQUIVALENT
    elif lo > 0 or hi < 0:
        verdict = Verdict.BETTER if value > 0 else Verdict.WORSE
    else:
        verdict = Verdict.INCONCLUSIVE
    return Judged(
        verdict, lo, hi, p, min(1.0, tests * p), detectable(error, examples, tests, confidence),
        needed(error, examples, delta, tests, confidence),
    )  # fmt: skip


def detectable(error: float, examples: int, tests: int, confidence: float) -> float:
    """The least difference that is found to be one with a chance of 80 %."""
    freedom = max(1, examples - 1)
    share = (1 - confidence) / tests
    return float(stdtrit(freedom, POWER) - stdtrit(freedom, share / 2)) * error


def needed(error: float, examples: int, delta: float, tests: int, confidence: float) -> int:
    """Examples with which both verdicts can be reached: a difference of Δ is found, and one of 0 is equivalent.

    error: from `examples`; it falls with the root of their number.
    """
    spread, share = error * math.sqrt(examples), (1 - confidence) / tests

    def enough(count: int) -> bool:  # the quantile of equivalence is the larger one
        wanted = stdtrit(count - 1, (1 + POWER) / 2) - stdtrit(count - 1, share / 2)
        return float(wanted) * spread <= delta * math.sqrt(count)

    if not enough(MOST):
        return MOST
    return bisect_left(range(MOST), True, lo=2, key=enough)
