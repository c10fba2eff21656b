"""Replayed episodes are those that gymnasium plays."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from random_routing.environments.episodes import replay, won_by
from tests.helpers.policies import CLIFF, LAKE, TAXI, world

SEEDS = np.arange(40) * 97 + 5


@pytest.mark.parametrize("name", [CLIFF, TAXI])
def test_as_gymnasium_plays_them(name: str) -> None:
    """Where nothing but the beginning is drawn."""
    rng = np.random.default_rng(3)
    actions = [
        rng.integers(0, len(world(name).actions), length) for length in rng.integers(1, 60, len(SEEDS))
    ]
    played = replay(world(name), SEEDS, actions)
    env: Any = gymnasium.make(name).unwrapped
    for row, given in enumerate(actions):
        env.reset(seed=0)
        env.s = state = int(played.states[row][0])
        states, total, won = [state], 0.0, False
        for action in given.tolist():
            state, reward, ended, _, _ = env.step(action)
            states.append(int(state))
            total += float(reward)
            if ended:
                won = reward == won_by(world(name))
                break
        assert played.states[row].tolist() == states
        assert played.total[row] == total and played.won[row] == won
        assert played.steps[row] == len(states) - 1 == len(played.actions[row])


def test_nothing_is_played_after_the_end() -> None:
    """A hole or the goal ends it: more actions change nothing."""
    rng = np.random.default_rng(4)
    actions = [rng.integers(0, 4, 80) for _ in SEEDS]
    played = replay(world(LAKE), SEEDS, actions)
    again = replay(
        world(LAKE), SEEDS, [row[:steps] for row, steps in zip(actions, played.steps, strict=True)]
    )
    assert played.total.tolist() == again.total.tolist()
    assert [row.tolist() for row in played.states] == [row.tolist() for row in again.states]
    assert (played.steps < 80).all() and set(played.total) <= {0.0, 1.0}
    assert played.won.tolist() == (played.total == 1).tolist()


def test_an_episode_without_actions() -> None:
    played = replay(world(LAKE), np.array([1, 2]), [np.array([], dtype=np.int64), np.array([2])])
    assert played.steps.tolist() == [0, 1] and played.states[0].tolist() == [0] and played.total[0] == 0


def test_no_other_episode_matters() -> None:
    actions = [np.array([1, 2, 2, 1, 1, 2]) for _ in SEEDS]
    together, alone = replay(world(LAKE), SEEDS, actions), replay(world(LAKE), SEEDS[7:8], actions[7:8])
    assert together.states[7].tolist() == alone.states[0].tolist()
