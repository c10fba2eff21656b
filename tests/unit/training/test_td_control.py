"""Q-learning walks along the cliff's edge, Sarsa keeps away from it; both find nearly the best way over the lake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from random_routing.environments.planning import optimal_policy, policy_return
from random_routing.settings import Trained
from random_routing.training.td_control import learn
from tests.helpers.policies import CLIFF, LAKE, world

CLIFFS: dict[str, Any] = {"episodes": 2000, "step_size": 0.5, "discount": 1.0, "epsilon": 0.1}
LAKES: dict[str, Any] = {"episodes": 20_000, "step_size": 0.02, "discount": 0.99, "epsilon": 0.3}


def trained(recipe: str, seed: int = 0, **keys: Any) -> Trained:
    return Trained("x", recipe, "data", seed, temperature=1.0, **keys)


@pytest.mark.parametrize(("recipe", "least", "most"), [("q-learning", -13, -13), ("sarsa", -17, -15)])
def test_the_cliff(recipe: str, least: float, most: float) -> None:
    """Sutton & Barto 2018, figure in example 6.6: the optimal path has 13 steps, Sarsa's safer path 17."""
    values = learn(world(CLIFF), trained(recipe, **CLIFFS))
    assert least <= policy_return(world(CLIFF), values.argmax(1), 200) <= most


def test_q_learning_finds_the_values() -> None:
    """Where nothing is random it ends at the optimal values, of the states on the best way, to the last bits."""
    values, best = learn(world(CLIFF), trained("q-learning", **CLIFFS)), optimal_policy(world(CLIFF))
    on_the_way = np.array([36, *range(24, 36)])  # 13 steps from the goal, then 12 down to 1
    assert values[on_the_way, best[on_the_way]] == pytest.approx(-np.arange(13, 0, -1), abs=1e-6)


@pytest.mark.parametrize("recipe", ["q-learning", "sarsa"])
def test_the_lake(recipe: str) -> None:
    values = learn(world(LAKE), trained(recipe, **LAKES))
    assert policy_return(world(LAKE), values.argmax(1), 100) > 0.8 * 0.7402  # the best is 0.7402
    assert values.min() >= 0 and values.max() <= 1, "chances of reaching the goal, discounted"


def test_the_same_seed_gives_the_same_table() -> None:
    one, same, other = (
        learn(world(LAKE), trained("sarsa", seed, **{**LAKES, "episodes": 2000})) for seed in (0, 0, 1)
    )
    assert one.tobytes() == same.tobytes() != other.tobytes()
