"""The shapes of Sutton & Barto's figure 2.2 and example 6.6 (2nd edition), and what planning says of environments.

Numbers of figures are read off by eye, so that the bounds are wide; the seeds are fixed.
"""

from __future__ import annotations

import numpy as np
import pytest

from random_routing.environments.planning import policy_return
from random_routing.environments.tabular import Environment, from_gymnasium
from random_routing.law.cells import Decoder
from random_routing.law.noise import Source
from random_routing.learning.agents import NO_HEAT
from random_routing.learning.lives import Life, on_bandit, on_environment
from random_routing.learning.noise import law_of, noise_of
from random_routing.settings import Base, Learning, Route
from tests.helpers import LONG

GREEDY = Base(temperature=NO_HEAT)  # ties by chance, as there


def epsilon(rate: float) -> Decoder:
    return Decoder(GREEDY, q=rate, q_route=Route("uniform")) if rate else Decoder(GREEDY)


@pytest.fixture(scope="module")
def cliff() -> Environment:
    return from_gymnasium("CliffWalking-v1")


def bandits(rate: float, runs: int) -> tuple[float, float, float]:
    """Mean reward and share of the best arm over the last 100 of 1,000 steps, and the best arms' mean value."""
    entry = Learning(
        "b", "sample-average", seeds=runs, last=100, against="", delta=1.0, arms=10, steps=1000
    )
    rewards, best = [], []
    for run in range(runs):
        noise = noise_of(entry, Source(1, "testbed", str(run), 0))
        life = on_bandit(entry, law_of(epsilon(rate), False, noise, 1000), noise)
        rewards.append(life.returns[-10:].mean())
        best.append(life.counts[-10:].mean() / 10)
    return float(np.mean(rewards)), float(np.mean(best)), float(np.std(rewards) / runs**0.5)


@pytest.mark.parametrize(
    ("rate", "reward", "best"),
    [
        (0.0, (0.95, 1.1), (0.32, 0.40)),
        (0.01, (1.2, 1.42), (0.54, 0.68)),
        (0.1, (1.3, 1.45), (0.76, 0.85)),
    ],
)
def test_figure_2_2(rate: float, reward: tuple[float, float], best: tuple[float, float]) -> None:
    """About 1, 1.3 and 1.4 in the end, and a third, 60 % and 80 % of the pulls. Bounds widened by 3 standard errors."""
    found, share, error = bandits(rate, 2000 if LONG else 500)
    assert reward[0] - 3 * error <= found <= reward[1] + 3 * error
    assert best[0] - 0.04 <= share <= best[1] + 0.04


def walks(world: Environment, algorithm: str, decoder: Decoder, seeds: int = 40) -> list[Life]:
    entry = Learning(
        "w", algorithm, seeds=seeds, last=100, against="", delta=1.0, environment="cliff", episodes=500, max_steps=300,
        step_size=0.5,
    )  # fmt: skip
    lives = []
    for run in range(seeds):
        noise = noise_of(entry, Source(1, "cliff", str(run), 0))
        lives.append(on_environment(entry, world, law_of(decoder, False, noise, 500), noise))
    return lives


def test_example_6_6(cliff: Environment) -> None:
    """ε = 0.1: in the limit about −50 online for Q-learning, which learns the path of 13 steps along the edge, and
    about −25 for Sarsa, whose path is the safe one of 17."""
    of_q, of_sarsa = (walks(cliff, algorithm, epsilon(0.1)) for algorithm in ("q-learning", "sarsa"))
    online = [np.mean([life.returns[-100:].mean() for life in lives]) for lives in (of_q, of_sarsa)]
    assert -56 < online[0] < -42 and -32 < online[1] < -20
    assert {float(life.greedy[0]) for life in of_q} == {-13.0}
    assert np.median([life.greedy[0] for life in of_sarsa]) == -17


def test_without_exploring_both_find_the_shortest_path(cliff: Environment) -> None:
    """Values begin at 0, above all that is true: optimism explores."""
    for algorithm in ("q-learning", "sarsa"):
        assert {float(life.returns[-1]) for life in walks(cliff, algorithm, epsilon(0.0), 10)} == {-13.0}


def test_the_return_of_a_policy_is_that_of_its_path(cliff: Environment) -> None:
    """Up, eleven times right, down: 13 steps; right at once is the cliff, and back to the start."""
    policy = np.full(48, 1)
    policy[36], policy[35] = 0, 2
    assert policy_return(cliff, policy, 300) == -13
    assert policy_return(cliff, np.full(48, 1), 5) == -500


def test_the_best_policy_of_the_lake_reaches_the_goal_as_often_as_is_known() -> None:
    """FrozenLake 4 × 4 on slippery ice: 0.74 within 100 steps (gymnasium's reward threshold is 0.70)."""
    lake = from_gymnasium("FrozenLake-v1")
    values = np.zeros((16, 4))
    for _ in range(5000):
        best = values.max(1)
        values = (lake.chance * (lake.reward + ~lake.ends * best[lake.next])).sum(2) * 0.9999
    assert policy_return(lake, values.argmax(1), 100) == pytest.approx(0.74, abs=0.01)
