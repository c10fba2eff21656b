"""What a number of prompts can show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from random_routing.comparison.power import power, table
from random_routing.comparison.verdicts import Verdict, judge
from random_routing.results.compared import ContrastResult

RECORD = ContrastResult(
    contrast="few", variant="v", against="temperature", delta=0.2, of=4, cells=4, estimate=0.1, error=0.2, prompts=32,
    texts=128,
)  # fmt: skip


def test_promises_are_kept() -> None:
    """With the prompts that `needed` names: an effect of Δ is found, and none is equivalent, in 80 % of studies; and
    what 100 prompts are said to find is found with them in 80 %.
    """
    found = power(RECORD, [100], 9, 0.95)
    random = np.random.default_rng(1)
    better, equivalent = Verdict.BETTER, Verdict.EQUIVALENT
    for prompts, effect, verdict in (
        (found.needed, 0.2, better), (found.needed, 0.0, equivalent), (100, found.found[100], better)
    ):  # fmt: skip
        error = 0.2 * np.sqrt(32 / prompts)
        estimates, errors = effect + error * random.normal(size=4000), error * np.ones(4000)
        delta = 0.2 if prompts == found.needed else 1e-9
        share = np.mean(
            [
                judge(*of, prompts, delta, 9, 0.95).verdict == verdict
                for of in zip(estimates, errors, strict=True)
            ]
        )
        assert share >= 0.78, (prompts, verdict)
        assert prompts == found.needed or share < 0.83


def test_the_table() -> None:
    few, missing = (
        power(RECORD, [32, 10_000], 9, 0.95),
        power(replace(RECORD, error=np.nan, missing="outside"), [32], 9, 0.95),
    )
    lines = table("dialogue", [few, missing], [32, 10_000]).splitlines()
    assert lines[0].split() == ["dialogue", "against", "Δ", "32", "10,000", "settles", "Δ"]
    name, against, delta, now, many, needed = lines[1].split()
    assert (name, against, delta) == ("few", "temperature", "0.2") and float(now) > 0.2
    assert many == "0.041*" and int(needed) == pytest.approx(32 * (float(now) / 0.2) ** 2, rel=0.15)
    assert lines[2].split() == ["few", "temperature", "0.2", "outside"]
