"""Small policies in worlds of gymnasium, in a folder that loads as any model."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from random_routing.environments.tabular import Environment, from_gymnasium
from random_routing.models.loading import load_model
from random_routing.models.network import LanguageModel
from random_routing.training.policy_folder import write_policy

CLIFF, LAKE, TAXI = "CliffWalking-v1", "FrozenLake-v1", "Taxi-v4"


@cache
def world(name: str) -> Environment:
    return from_gymnasium(name)


def preferences(name: str, seed: int = 0) -> np.ndarray:
    """Random ones, (S, A)."""
    return np.random.default_rng(seed).normal(size=world(name).chance.shape[:2])


def policy(
    folder: Path, name: str, wanted: np.ndarray | None = None, dtype: str = "float32"
) -> LanguageModel:
    write_policy(folder, world(name), preferences(name) if wanted is None else wanted)
    return load_model(folder, dtype)
