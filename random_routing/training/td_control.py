"""Tabular control by temporal differences: what an ε-greedy learner of `learning.lives` ends with, as a policy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from random_routing.environments.tabular import Environment, read_environment
from random_routing.law.cells import Decoder
from random_routing.law.noise import Source
from random_routing.learning.lives import action_values
from random_routing.learning.noise import law_of, noise_of
from random_routing.settings import Asset, Base, Learning, Route, Trained
from random_routing.training.policy_folder import write_policy

LONGEST = 200  # steps before an episode is cut, as gymnasium cuts those of Taxi


def train_policy(trained: Trained, asset: Asset, data: Path, folder: Path) -> None:
    """Recipes `q-learning` and `sarsa`: a Boltzmann policy on the learnt action values, softmax(Q / temperature)."""
    environment = read_environment(data)
    values = learn(environment, trained)
    write_policy(folder, environment, values / trained.temperature)


def learn(environment: Environment, trained: Trained) -> np.ndarray:
    """Action values, (S, A) float64, from 0."""
    entry = Learning(
        name=trained.name, algorithm=trained.recipe, seeds=1, last=1, against="", delta=1.0,
        episodes=trained.episodes, max_steps=LONGEST, step_size=trained.step_size, discount=trained.discount,
    )  # fmt: skip
    explores = Decoder(Base(greedy=True), q=trained.epsilon, q_route=Route("uniform"))
    noise = noise_of(entry, Source(trained.seed, f"training/{trained.recipe}", environment.name, 0))
    return action_values(entry, environment, law_of(explores, False, noise, entry.units), noise)
