"""Examples go where they tell most about which arm is best, on a made-up reward."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.tune import reached
from random_routing.law.cells import Cell, Decoder
from random_routing.resampling.intervals import Sampled
from random_routing.settings import Base
from random_routing.tuning.bandit import confidence_in, run_bandit
from random_routing.tuning.reward import Score
from tests.test_tuning import EXAMPLES, Fake, truth


@pytest.mark.parametrize("policy", ["thompson", "ucb"])
def test_the_bandit_finds_the_best_arm_with_less(policy: str) -> None:
    """41 arms, one of them clearly best: found with less than half of the texts, the same each time."""
    arms = [
        Cell(f"arm-{i}", "routing", Decoder(Base(), i / 100), "uniform", i / 100, 0.0, i / 100)
        for i in range(41)
    ]
    budget = len(arms) * EXAMPLES // 2
    fake = Fake(noise=0.1)
    found = run_bandit(arms, fake, EXAMPLES, budget, policy, 0.95, 1)
    assert abs(truth(next(arm for arm in arms if arm.name == found.best)) - 1) < 0.06
    assert found.texts <= budget and found.whole == 41 * EXAMPLES
    assert found.why == "the confidence is reached" and found.rounds[-1][2] >= 0.95
    assert found.pulls[found.best] == max(found.pulls.values()) > min(found.pulls.values())
    again = run_bandit(arms, Fake(noise=0.1), EXAMPLES, budget, policy, 0.95, 1)
    assert (again.best, again.pulls) == (found.best, found.pulls)


def test_a_bandit_stops_when_it_is_sure() -> None:
    arms = [Cell("good", "routing", Decoder(Base(), 0.1), "v", 0.1, 0.0, 0.1),
            Cell("bad", "routing", Decoder(Base(), 0.9), "v", 0.9, 0.0, 0.9)]  # fmt: skip
    found = run_bandit(arms, Fake(noise=0.01), EXAMPLES, 1000, "ucb", 0.95, 1)
    assert (found.best, found.why, found.texts) == ("good", "the confidence is reached", 8)
    assert found.rounds == [(8, "good", 1.0)]


def test_an_arm_without_a_reward_is_never_the_best() -> None:
    """Its texts may all be empty; it stands first."""
    arms = [
        Cell(name, "temperature", Decoder(Base(temperature=t)))
        for name, t in (("none", 0.8), ("some", 0.5))
    ]

    def scored(cells: Sequence[Cell], examples: int) -> dict[str, Score]:
        found = Fake(noise=0.01)(cells, examples)
        nothing = Sampled(math.nan, np.full(400, math.nan), examples)
        return found | ({"none": Score(nothing, nothing, nothing)} if "none" in found else {})

    outcome = run_bandit(arms, scored, EXAMPLES, 2 * EXAMPLES, "thompson", 0.95, 1)
    assert outcome.best == "some" and {best for _, best, _ in outcome.rounds} == {"some"}


def test_a_bandit_may_see_everything() -> None:
    """Where examples are no multiple of a pull: with the whole grid as budget no arm misses one."""
    arms = [Cell(f"arm-{i}", "routing", Decoder(Base(), i / 9), "v", i / 9, 0.0, i / 9) for i in range(3)]
    found = run_bandit(arms, Fake(noise=1.0), 6, 18, "thompson", 1.1, 1)
    assert set(found.pulls.values()) == {6} and found.texts == 18


def test_confidence_is_the_share_of_resamples_without_a_better_arm() -> None:
    rewards = {"one": [1.0, 1.0, 3.0, np.nan], "other": [0.0, 2.0, 3.0, 1.0]}
    found = {}
    for name, resamples in rewards.items():
        reward = Sampled(float(np.nanmean(resamples)), np.array(resamples), 4)
        found[name] = Score(reward, reward, reward)
    assert confidence_in(found, "one") == 0.5  # the first, and the tie
    assert confidence_in(found, "other") == 0.75


def test_the_same_confidence_holds_to_the_end() -> None:
    """An early lucky round does not count."""
    rounds = [(8, "a", 0.9), (12, "b", 0.3), (16, "a", 0.5), (20, "a", 0.6)]
    assert reached(rounds, 0.5) == 16 and reached(rounds, 0.6) == 20 and reached(rounds, 0.7) is None
