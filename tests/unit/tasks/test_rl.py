"""Episodes as examples: prompts that hold a seed, and what the best policy does with the same luck."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from random_routing.environments.episode_tokens import prompt_of, seed_of
from random_routing.environments.tabular import write_environment
from random_routing.errors import PipelineError
from random_routing.settings import Asset, Task
from random_routing.tasks.example_ids import Generator
from random_routing.tasks.named_data_sets import READERS
from random_routing.tasks.rl import build
from random_routing.training.policy_folder import policy_tokenizer
from tests.helpers.policies import CLIFF, LAKE, policy, world
from tests.helpers.workspace import inside

TASK = Task("lake", "walker", "walker", "ice", examples=12, samples=2, max_new_tokens=60, kind="rl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    policy(tmp_path / "data/assets/walker", LAKE)
    for name, environment in (("ice", LAKE), ("cliff", CLIFF)):
        (tmp_path / "data/assets" / name).mkdir()
        write_environment(tmp_path / "data/assets" / name, world(environment), {})
    return tmp_path


def rows(folder: Path, task: Task = TASK) -> list[dict[str, Any]]:
    with inside(folder):
        data = Path("data/assets") / task.data
        records = READERS["episodes"](data, Asset("ice", "data", ("file:x",), reader="episodes"), task)
        return build(records, task, Generator(task.model, policy_tokenizer(world(LAKE).actions)))


def test_rows(folder: Path) -> None:
    made = rows(folder)
    assert len({row["id"] for row in made}) == len({row["prompt"] for row in made}) == 12
    first = made[0]
    assert first["meta"] == {"environment": LAKE, "seed": seed_of(LAKE, 0)}
    assert first["prompt"] == prompt_of(seed_of(LAKE, 0)) and first["prompt"].count("<") == 8
    assert first["source"] == "FrozenLake-v1 episode 0, state 0"
    moves = first["references"][0].split()
    assert 6 <= len(moves) <= 60 and set(moves) <= set(world(LAKE).actions)


def test_more_examples_only_extend(folder: Path) -> None:
    assert rows(folder, dataclasses.replace(TASK, examples=20))[:12] == rows(folder)


def test_a_shorter_episode_is_the_beginning_of_a_longer(folder: Path) -> None:
    short, long = rows(folder, dataclasses.replace(TASK, max_new_tokens=5)), rows(folder)
    for one, other in zip(short, long, strict=True):
        assert one["references"][0].split() == other["references"][0].split()[:5]


def test_a_seed_in_eight_digits() -> None:
    assert prompt_of(0x12AB) == "<0><0><0><0><1><2><a><b>"
    assert all(0 <= seed_of(CLIFF, i) < 2**32 for i in range(100)) and seed_of(CLIFF, 1) != seed_of(LAKE, 1)


def test_another_world_than_the_policy_s(folder: Path) -> None:
    wrong = (
        "tasks.lake.model = walker: acts in FrozenLake-v1, and tasks.lake.data = cliff is CliffWalking-v1"
    )
    with pytest.raises(PipelineError, match=wrong):
        rows(folder, dataclasses.replace(TASK, data="cliff"))


def test_a_model_that_is_no_policy(folder: Path) -> None:
    with pytest.raises(
        PipelineError, match="json: missing; the model of a task of kind rl must be a policy"
    ):
        rows(folder, dataclasses.replace(TASK, model="other"))
