"""What is known of these worlds: the shortest way along the cliff, and how often the lake can be crossed."""

from __future__ import annotations

import numpy as np
import pytest

from random_routing.environments.episodes import play
from random_routing.environments.planning import DISCOUNT, action_values, optimal_policy, policy_return
from tests.helpers.policies import CLIFF, LAKE, TAXI, world


def test_the_cliff() -> None:
    """Sutton & Barto 2018, example 6.6: 13 steps, right above the cliff."""
    policy = optimal_policy(world(CLIFF))
    assert policy_return(world(CLIFF), policy, 13) == -13
    assert policy_return(world(CLIFF), policy, 1000) == -13
    way = play(world(CLIFF), np.array([5]), lambda state, step: policy[state], 60)
    names = [world(CLIFF).actions[action] for action in way.actions[0]]
    assert names == ["up", *["right"] * 11, "down"]
    assert way.won.all() and way.total[0] == -13


@pytest.mark.parametrize(("steps", "share"), [(100, 0.7402), (10_000, 14 / 17)])
def test_the_slippery_lake(steps: int, share: float) -> None:
    """The best policy reaches the goal in 14 of 17 episodes, in 74% of those that gymnasium cuts after 100 steps."""
    assert policy_return(world(LAKE), optimal_policy(world(LAKE)), steps) == pytest.approx(share, abs=1e-4)


def test_the_taxi() -> None:
    """Dietterich 2000; gymnasium's page: the best mean return is 7.93."""
    assert policy_return(world(TAXI), optimal_policy(world(TAXI)), 200) == pytest.approx(7.93, abs=0.005)


def test_what_is_drawn_is_what_was_planned() -> None:
    """8,000 episodes with their own luck; false alarm: 1 in 15,000."""
    policy = optimal_policy(world(LAKE))
    drawn = play(world(LAKE), np.arange(8_000), lambda state, step: policy[state], 100)
    expected = policy_return(world(LAKE), policy, 100)
    error = np.sqrt(expected * (1 - expected) / 8_000)
    assert abs(drawn.total.mean() - expected) < 4 * error


@pytest.mark.parametrize("name", [CLIFF, LAKE, TAXI])
def test_bellman_s_equation(name: str) -> None:
    """V of the policy, from a system of linear equations, is what the best actions give: max Q = V."""
    environment, policy = world(name), optimal_policy(world(name))
    every = np.arange(len(policy))
    goes_on = (environment.chance * ~environment.ends)[every, policy]  # (S, K)
    steps = np.zeros((len(policy), len(policy)))
    np.add.at(steps, (every[:, None], environment.next[every, policy]), goes_on)
    reward = (environment.chance * environment.reward).sum(2)[every, policy]
    values = np.linalg.solve(np.eye(len(policy)) - DISCOUNT * steps, reward)
    assert action_values(environment, values, DISCOUNT).max(1) == pytest.approx(values, abs=1e-5)
