"""A finite Markov decision process as arrays, read from gymnasium's own transition tables."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from random_routing.errors import PipelineError, short
from random_routing.files import read_json, write_json

FILE = "environment.json"
# gymnasium numbers the actions; the names are those of its documentation.
ACTIONS = {
    "CliffWalking": ("up", "right", "down", "left"),
    "FrozenLake": ("left", "down", "right", "up"),
    "Taxi": ("south", "north", "east", "west", "pickup", "dropoff"),
}


@dataclass(frozen=True)
class Environment:
    """S states, A actions, K outcomes of each pair, of which some have the chance 0.

    start: (S,) chances; chance, reward: (S, A, K) float64; next: (S, A, K) int64; ends: (S, A, K) bool, whether the
    episode is over with the outcome.
    """

    name: str
    actions: tuple[str, ...]
    start: np.ndarray
    chance: np.ndarray
    next: np.ndarray
    reward: np.ndarray
    ends: np.ndarray

    def begin(self, uniform: np.ndarray) -> np.ndarray:
        """States (N,) int64 that episodes begin in, from numbers in [0, 1), (N,)."""
        return np.searchsorted(self.start.cumsum()[:-1], uniform, side="right")

    def step(
        self, state: np.ndarray, action: np.ndarray, uniform: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Next state, reward and whether the episode is over, each (N,), from state, action and a number in [0, 1),
        each (N,).
        """
        below = self.chance[state, action].cumsum(1)[:, :-1] <= uniform[:, None]
        outcome = below.sum(1)
        at = (state, action, outcome)
        return self.next[at], self.reward[at], self.ends[at]


def from_gymnasium(name: str, **options: Any) -> Environment:
    """name: as gymnasium registers it, such as CliffWalking-v1. Raises `PipelineError` for one without tables."""
    import gymnasium  # takes a second to import

    try:
        world = gymnasium.make(name, **options).unwrapped
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        raise PipelineError(f"gymnasium:{name}: cannot be made ({short(error)})") from None
    tables = getattr(world, "P", None)
    start = getattr(world, "initial_state_distrib", None)
    if tables is None or start is None:
        raise PipelineError(
            f"gymnasium:{name}: has no table of transitions; CliffWalking, FrozenLake and Taxi have"
        )
    states, count = len(tables), len(tables[0])
    most = max(len(outcomes) for of_state in tables.values() for outcomes in of_state.values())
    arrays = {
        "chance": np.zeros((states, count, most)),
        "next": np.zeros((states, count, most), dtype=np.int64),
        "reward": np.zeros((states, count, most)),
        "ends": np.zeros((states, count, most), dtype=bool),
    }
    for state, of_state in tables.items():
        for action, outcomes in of_state.items():
            for k, outcome in enumerate(outcomes):  # chance, next, reward, ends
                for array, value in zip(arrays.values(), outcome, strict=True):
                    array[state, action, k] = value
    names = ACTIONS.get(name.partition("-")[0], tuple(f"action-{a}" for a in range(count)))
    return Environment(name, names, np.asarray(start, dtype=np.float64), **arrays)


def write_environment(folder: Path, environment: Environment, about: dict[str, Any]) -> None:
    """about: what else is to be known, such as the version of gymnasium."""
    values = {field.name: getattr(environment, field.name) for field in fields(Environment)}
    lists = {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()
    }
    write_json(folder / FILE, {**about, **lists})


def read_environment(folder: Path) -> Environment:
    """Raises `PipelineError` for a folder without one."""
    path = folder / FILE
    if not path.is_file():
        raise PipelineError(f"{path}: missing; the source of the asset must be gymnasium:name@version")
    read = read_json(path)
    try:
        arrays = {name: np.array(read[name]) for name in ("start", "chance", "next", "reward", "ends")}
        return Environment(read["name"], tuple(read["actions"]), **arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise PipelineError(f"{path}: holds no environment ({short(error)})") from None
