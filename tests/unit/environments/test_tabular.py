"""Environments as tables: against gymnasium itself."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from random_routing.environments.tabular import from_gymnasium, read_environment, write_environment
from random_routing.errors import PipelineError

NAMES = ("CliffWalking-v1", "Taxi-v4")  # without chance in their steps


@pytest.mark.parametrize("name", NAMES)
def test_the_same_steps_as_gymnasium(name: str) -> None:
    """Random actions from the same states lead to the same states and rewards."""
    world, mine = gymnasium.make(name).unwrapped, from_gymnasium(name)
    rng = np.random.default_rng(0)
    for start in np.flatnonzero(mine.start)[::17]:
        world.reset(seed=0)
        world.s = int(start)  # type: ignore[attr-defined]
        state = np.array([start])
        for action in rng.integers(len(mine.actions), size=40):
            seen, reward, ended, *_ = world.step(int(action))
            state, mine_reward, mine_ended = mine.step(state, np.array([action]), np.array([0.5]))
            assert (seen, reward, ended) == (state[0], mine_reward[0], mine_ended[0])
            if ended:
                break


def test_outcomes_have_their_chances() -> None:
    """On the ice a step goes where it should in a third of cases, and to each side in a third."""
    lake = from_gymnasium("FrozenLake-v1")
    assert lake.chance.sum(2) == pytest.approx(1)
    uniform = (np.arange(3000) + 0.5) / 3000
    state, right = np.zeros(3000, dtype=int), np.full(3000, lake.actions.index("right"))
    reached = lake.step(state, right, uniform)[0]
    assert {int(s): int((reached == s).sum()) for s in np.unique(reached)} == {0: 1000, 1: 1000, 4: 1000}


def test_begin_follows_the_start_distribution() -> None:
    taxi = from_gymnasium("Taxi-v4")
    uniform = (np.arange(30_000) + 0.5) / 30_000
    counts = np.bincount(taxi.begin(uniform), minlength=500) / 30_000
    assert counts == pytest.approx(taxi.start, abs=1 / 30_000)


def test_written_and_read(tmp_path: Path) -> None:
    one = from_gymnasium("FrozenLake-v1")
    write_environment(tmp_path, one, {"gymnasium": "x"})
    read = read_environment(tmp_path)
    assert read.actions == one.actions and all(
        np.array_equal(getattr(read, name), getattr(one, name))
        for name in ("start", "chance", "next", "ends")
    )


def test_faults_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="gymnasium:Nowhere-v1: cannot be made"):
        from_gymnasium("Nowhere-v1")
    with pytest.raises(PipelineError, match="has no table of transitions"):
        from_gymnasium("CartPole-v1")
    with pytest.raises(PipelineError, match="missing"):
        read_environment(tmp_path)
    (tmp_path / "environment.json").write_text('{"name": "x"}')
    with pytest.raises(PipelineError, match="holds no environment"):
        read_environment(tmp_path)
