"""Episodes: actions played in a world, each with the luck of its seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from random_routing.environments.luck import uniform_luck
from random_routing.environments.tabular import Environment


@dataclass(frozen=True)
class Episodes:
    """N episodes. total: (N,) sum of the rewards; steps: (N,) actions until the end; won: (N,) bool, see `won_by`;
    actions, states: of each, (steps,) and (steps + 1,) with the first state.
    """

    total: np.ndarray
    steps: np.ndarray
    won: np.ndarray
    actions: list[np.ndarray]
    states: list[np.ndarray]


def won_by(environment: Environment) -> float:
    """The reward that ends an episode well: the greatest of those that end one (the goal; the passenger's arrival)."""
    return float(environment.reward[environment.ends & (environment.chance > 0)].max())


def play(
    environment: Environment,
    seeds: np.ndarray,
    choose: Callable[[np.ndarray, int], np.ndarray],
    most: int,
) -> Episodes:
    """seeds: (N,) int64; choose(state, step): (N,) actions from states (N,), −1 for none, which stops an episode too;
    most: steps before all are cut.
    """
    count, best = len(seeds), won_by(environment)
    state = environment.begin(uniform_luck(seeds, 0))
    visited, taken = [state], list[np.ndarray]()
    total, won, going = np.zeros(count), np.zeros(count, dtype=bool), np.ones(count, dtype=bool)
    steps = np.zeros(count, dtype=np.int64)
    for step in range(most):
        action = choose(state, step)
        going &= action >= 0
        if not going.any():
            break
        after, reward, ends = environment.step(state, action.clip(min=0), uniform_luck(seeds, step + 1))
        total += np.where(going, reward, 0.0)
        won |= going & ends & (reward == best)
        steps += going
        state = np.where(going, after, state)
        visited.append(state)
        taken.append(action)
        going &= ~ends
    by_episode = np.stack(visited, axis=1)  # (N, T + 1)
    acted = np.stack(taken, axis=1) if taken else np.zeros((count, 0), dtype=np.int64)
    return Episodes(
        total, steps, won,
        [row[:length] for row, length in zip(acted, steps, strict=True)],
        [row[: length + 1] for row, length in zip(by_episode, steps, strict=True)],
    )  # fmt: skip


def replay(environment: Environment, seeds: np.ndarray, actions: Sequence[np.ndarray]) -> Episodes:
    """Episodes of given actions; what follows an end is not played. seeds: (N,) int64; actions: N rows of int64."""
    most = max((len(row) for row in actions), default=0)
    padded = np.full((len(actions), most), -1, dtype=np.int64)
    for row, given in zip(padded, actions, strict=True):
        row[: len(given)] = given
    return play(environment, seeds, lambda state, step: padded[:, step], most)
