"""The best that can be done in a known world: dynamic programming (Sutton & Barto 2018, chapter 4)."""

from __future__ import annotations

import numpy as np

from random_routing.environments.tabular import Environment

DISCOUNT = 1 - 1e-4  # of planning: so little that it only chooses the shortest of equally good ways
SMALL = 1e-10  # a change of values that ends an iteration, and a difference that makes no action better


def action_values(environment: Environment, values: np.ndarray, discount: float) -> np.ndarray:
    """(S, A) from values (S,): E[reward + discount·V(next)], where nothing follows an end."""
    goes_on = np.where(environment.ends, 0.0, values[environment.next])
    return (environment.chance * (environment.reward + discount * goes_on)).sum(2)


def optimal_policy(environment: Environment, discount: float = DISCOUNT) -> np.ndarray:
    """The best action of each state, (S,) int64, the first of equals: value iteration."""
    values = np.zeros(len(environment.start))
    while True:
        better = action_values(environment, values, discount).max(1)
        if np.abs(better - values).max() < SMALL:
            break
        values = better
    of_actions = action_values(environment, values, discount)
    return (of_actions > of_actions.max(1, keepdims=True) - 10 * SMALL).argmax(1)


def policy_return(environment: Environment, policy: np.ndarray, steps: int) -> float:
    """Expected sum of rewards of `steps` steps from the first state, in closed form. policy: (S,) actions."""
    values = np.zeros(len(environment.start))
    every = np.arange(len(values))
    for _ in range(steps):
        values = action_values(environment, values, 1.0)[every, policy]
    return float(environment.start @ values)
