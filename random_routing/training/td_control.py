"""Tabular control by temporal differences, with an ε-greedy learner: Q-learning and Sarsa.

Sutton & Barto 2018, sections 6.4 and 6.5. One number of the seed's stream after the other decides what happens, so
the same recipe gives the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from random_routing.environments.tabular import Environment, read_environment
from random_routing.settings import Asset, Trained
from random_routing.training.policy_folder import write_policy

LONGEST = 200  # steps before an episode is cut, as gymnasium cuts those of Taxi
CHUNK = 65_536  # random numbers drawn at once
# What the next state is worth, from its action values and the action that the learner takes there.
Worth = Callable[[Sequence[float], int], float]
WORTH: dict[str, Worth] = {
    "q-learning": lambda values, action: max(values),  # equation 6.8
    "sarsa": lambda values, action: values[action],  # equation 6.7
}


def train_policy(trained: Trained, asset: Asset, data: Path, folder: Path) -> None:
    """Recipes `q-learning` and `sarsa`: a Boltzmann policy on the learnt action values, softmax(Q / temperature)."""
    environment = read_environment(data)
    values = learn(environment, trained)
    write_policy(folder, environment, values / trained.temperature)


def learn(environment: Environment, trained: Trained) -> np.ndarray:
    """Action values, (S, A) float64, from 0."""
    worth, numbers = WORTH[trained.recipe], uniforms(trained.seed)
    values = [[0.0] * len(environment.actions) for _ in environment.start]
    edges = [row.tolist() for row in environment.chance.cumsum(2)[:, :, :-1]]
    after, reward, ends = (x.tolist() for x in (environment.next, environment.reward, environment.ends))
    first = environment.start.cumsum()[:-1].tolist()
    for _ in range(trained.episodes):
        state = _outcome(first, next(numbers))
        action = epsilon_greedy(values[state], trained.epsilon, numbers)
        for _ in range(LONGEST):
            k = _outcome(edges[state][action], next(numbers))
            then = after[state][action][k]
            follows = epsilon_greedy(values[then], trained.epsilon, numbers)
            gain = 0.0 if ends[state][action][k] else trained.discount * worth(values[then], follows)
            values[state][action] = updated(
                values[state][action], reward[state][action][k] + gain, trained.step_size
            )
            if ends[state][action][k]:
                break
            state, action = then, follows
    return np.array(values)


def updated(value: float, target: float, step_size: float) -> float:
    """Q + α·(target − Q), with target = r + γ·what the next state is worth."""
    return value + step_size * (target - value)


def epsilon_greedy(values: Sequence[float], epsilon: float, numbers: Iterator[float]) -> int:
    """An action: with probability ε any, else one of the best, equals alike."""
    explores, which = next(numbers) < epsilon, next(numbers)
    best = max(values)
    among = [a for a, value in enumerate(values) if explores or value == best]
    return among[int(which * len(among))]


def uniforms(seed: int) -> Iterator[float]:
    """Numbers in [0, 1) without end."""
    source = np.random.Generator(np.random.Philox(seed))
    while True:
        yield from source.random(CHUNK).tolist()


def _outcome(edges: Sequence[float], number: float) -> int:
    """As of `Environment.step`."""
    return sum(edge <= number for edge in edges)
