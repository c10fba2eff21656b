"""The grid's cells as arms of a bandit: examples go where they tell most about which cell is best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from random_routing.law.cells import Cell
from random_routing.tuning.reward import Score

FIRST, PULL, ARMS = 4, 4, 8  # examples of every arm at first; more of an arm at once; arms at once


@dataclass(frozen=True)
class Outcome:
    best: str
    texts: int  # (arm, example) pairs that were asked for
    whole: int  # those of the full grid
    why: str
    pulls: dict[str, int]
    rounds: list[tuple[int, str, float]]  # texts so far, the best arm, confidence in it


def confidence_in(found: Mapping[str, Score], name: str) -> float:
    """Share of the bootstrap's resamples in which no other arm's reward is higher: an estimate of the probability
    that the arm is the best, as in the optimal-arm rules of Russo 2020. found: arm → score.
    """
    rewards = np.stack([np.nan_to_num(score.reward.resamples, nan=-np.inf) for score in found.values()])
    own = rewards[list(found).index(name)]
    return float(np.mean(own >= rewards.max(0)))


def run_bandit(
    arms: Sequence[Cell],
    scored: Callable[[Sequence[Cell], int], dict[str, Score]],
    examples: int,
    budget: int,
    policy: str,
    confidence: float,
    seed: int,
) -> Outcome:
    """scored(cells, n): on the first n examples; budget: pairs of arm and example; policy: `ucb`, arms with the
    highest upper ends of their intervals (bootstrapped UCB, Hao et al. 2019), or `thompson`, arms with the highest
    reward in a random resample of their examples (bootstrap Thompson sampling, Eckles & Kaptein 2014).

    Ends when the confidence in the best arm is reached, when the arms that would be chosen have seen all examples, or
    when the budget is spent.
    """
    draw = np.random.Generator(np.random.Philox(seed))
    by_name = {arm.name: arm for arm in arms}
    pulls = dict.fromkeys(by_name, min(FIRST, examples))
    found = scored(list(arms), min(FIRST, examples))
    rounds = []
    why = "every arm has seen all examples"
    while True:
        best = max(found, key=lambda name: (found[name].worth, pulls[name]))
        rounds.append((sum(pulls.values()), best, confidence_in(found, best)))
        if rounds[-1][2] >= confidence:
            why = "the confidence is reached"
            break
        if policy == "ucb":
            index = {name: score.reward.interval(confidence)[1] for name, score in found.items()}
        else:
            index = {name: float(draw.choice(score.reward.resamples)) for name, score in found.items()}
        order = sorted(found, key=lambda name: -np.nan_to_num(index[name], nan=-np.inf))
        left = [name for name in order if pulls[name] < examples][:ARMS]
        if not left:
            break
        costs = np.cumsum([min(PULL, examples - pulls[name]) for name in left])
        chosen = left[: int(np.searchsorted(costs, budget - sum(pulls.values()), side="right"))]
        if not chosen:
            why = "the budget is spent"
            break
        if (
            policy == "ucb"
            and pulls[best] == examples
            and max(index[n] for n in chosen) < found[best].reward.value
        ):
            why = "no other arm's upper end reaches the best"
            break
        for name in chosen:
            pulls[name] = min(examples, pulls[name] + PULL)
        for count in sorted({pulls[name] for name in chosen}):
            found |= scored([by_name[name] for name in chosen if pulls[name] == count], count)
    return Outcome(best, sum(pulls.values()), len(arms) * examples, why, pulls, rounds)
