"""Reinforcement learning: act in a small world, an episode an example."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from random_routing.environments.episode_tokens import prompt_of, seed_of
from random_routing.environments.episodes import play
from random_routing.environments.planning import optimal_policy
from random_routing.environments.tabular import FILE, Environment, read_environment
from random_routing.errors import PipelineError
from random_routing.settings import Task
from random_routing.tasks.example_ids import Generator, content_id
from random_routing.tasks.usable_records import LeftOut, Record

ASSETS = Path("data/assets")


def build(
    records: Iterable[Record], task: Task, generator: Generator, left: LeftOut | None = None
) -> list[dict[str, Any]]:
    """records: {episode, environment}. The prompt is the seed of the episode's luck, the reference what the best policy
    does with the same luck. Raises `PipelineError` where the policy acts in another world.
    """
    taken = list(islice(records, task.examples))
    world = world_of(generator.name)
    if any(not _same(record["environment"], world) for record in taken[:1]):
        raise PipelineError(
            f"params.yaml: tasks.{task.name}.model = {generator.name}: acts in {world.name}, and tasks.{task.name}"
            f".data = {task.data} is {taken[0]['environment'].name}, or has other tables"
        )
    seeds = np.array([seed_of(world.name, record["episode"]) for record in taken], dtype=np.int64)
    policy = optimal_policy(world)
    best = play(world, seeds, lambda state, step: policy[state], task.max_new_tokens)
    return [
        {
            "id": content_id([world.name, record["episode"]]),
            "prompt": prompt_of(seed),
            "source": f"{world.name} episode {record['episode']}, state {states[0]}",
            "references": [" ".join(world.actions[action] for action in actions)],
            "meta": {"environment": world.name, "seed": seed},
        }
        for record, seed, actions, states in zip(
            taken, seeds.tolist(), best.actions, best.states, strict=True
        )
    ]


def world_of(model: str) -> Environment:
    """The world that a policy acts in, which its folder holds. Raises `PipelineError` for another model."""
    path = ASSETS / model / FILE
    if not path.is_file():
        raise PipelineError(
            f"{path}: missing; the model of a task of kind rl must be a policy, as the recipes q-learning and sarsa "
            "of the section `trained` make them"
        )
    return _read(path.parent.resolve(), path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(folder: Path, changed: int) -> Environment:
    return read_environment(folder)


def _same(one: Environment, other: Environment) -> bool:
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        for field in fields(Environment)
    )
