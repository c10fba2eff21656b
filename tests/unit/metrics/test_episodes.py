"""Returns, ends and states of episodes, by hand, on the cliff: 4 rows of 12 cells, from the lower left."""

from __future__ import annotations

import numpy as np
import pytest

from random_routing.environments.episode_tokens import FIRST
from random_routing.metrics import METRICS, CellTexts, metrics_of
from random_routing.metrics.helpers.ragged import concatenated
from tests.helpers.cell_texts import cell, value
from tests.helpers.policies import CLIFF, LAKE, world

UP, RIGHT, DOWN, LEFT = range(4)
BEST = [UP, *[RIGHT] * 11, DOWN]
FALL = [RIGHT]  # into the cliff: −100, back at the start
SAFE = [UP, UP, *[RIGHT] * 11, DOWN, DOWN]
END = FIRST + 4


def episodes(
    *actions: list[int], example: list[int] | None = None, ended: list[bool] | None = None
) -> CellTexts:
    over = ended or [False] * len(actions)
    ids = [[a + FIRST for a in row] + [END] * e for row, e in zip(actions, over, strict=True)]
    example = example or list(range(len(actions)))
    return cell(
        ["x"] * len(actions), token_ids=ids, example=np.array(example), examples=len(set(example)),
        meta=[{"seed": 7}] * len(actions), world=world(CLIFF), ended=np.array(over),
    )  # fmt: skip


def test_by_hand() -> None:
    texts = episodes(BEST, FALL, SAFE, [*FALL, *BEST])
    assert METRICS["return"].stats(texts)[:, 0].tolist() == [-13, -100, -15, -113]
    assert METRICS["success"].stats(texts)[:, 0].tolist() == [1, 0, 1, 1]
    assert METRICS["steps"].stats(texts)[:, 0].tolist() == [13, 1, 15, 14]
    assert value("return", texts) == pytest.approx(-60.25)


def test_the_end_token_is_no_action_and_nothing_follows_it() -> None:
    whole = episodes(BEST, BEST, [*BEST, LEFT, LEFT], ended=[True, False, False])
    assert METRICS["return"].stats(whole)[:, 0].tolist() == [-13, -13, -13]
    assert METRICS["steps"].stats(whole)[:, 0].tolist() == [13, 13, 13]
    packed = episodes(BEST, FALL, ended=[True, False])
    ragged = cell(
        ["x"] * 2, token_ids=concatenated(packed.token_ids, np.int32), meta=packed.meta, world=packed.world,
        ended=packed.ended,
    )  # fmt: skip
    assert METRICS["return"].stats(ragged)[:, 0].tolist() == [-13, -100]


def test_diversity_of_states() -> None:
    """BEST visits 14 states; SAFE 16, of which the start, the goal and the cells above both are in both: 4."""
    same = episodes(BEST, BEST, example=[0, 0])
    assert value("path_spread", same) == 0 and value("states_visited", same) == 14
    assert value("visit_entropy", same) == pytest.approx(np.log(14))
    two = episodes(BEST, SAFE, example=[0, 0])
    assert value("path_spread", two) == pytest.approx(1 - 4 / 26)
    assert value("states_visited", two) == 26
    three = episodes(BEST, BEST, SAFE, example=[0, 0, 0])
    assert value("path_spread", three) == pytest.approx(2 / 3 * (1 - 4 / 26))
    counts = np.array([2] * 4 + [1] * 22) / 30
    assert value("visit_entropy", two) == pytest.approx(-(counts * np.log(counts)).sum())


def test_examples_are_apart() -> None:
    """Episodes of other beginnings are no pairs, wherever their rows stand."""
    texts = episodes(BEST, SAFE, BEST, SAFE, example=[0, 1, 0, 1])
    assert value("path_spread", texts) == 0
    assert value("states_visited", texts) == 15


def test_luck_is_the_example_s() -> None:
    rows = 200
    texts = cell(
        ["x"] * rows, token_ids=[[FIRST + 2]] * rows, meta=[{"seed": seed} for seed in range(rows)],
        world=world(LAKE), ended=np.zeros(rows, dtype=bool),
    )  # fmt: skip
    reached = {int(states[-1]) for states in texts.episodes.states}
    assert reached == {0, 1, 4}, "right, on ice: right, or to a side, where the wall is"


def test_which_tasks_have_them() -> None:
    names = list(METRICS)
    assert [m.name for m in metrics_of("rl", names)] == [
        "return", "success", "steps", "path_spread", "states_visited", "visit_entropy",
    ]  # fmt: skip
    assert not {"return", "path_spread"} & {m.name for m in metrics_of("textgen", names)}
