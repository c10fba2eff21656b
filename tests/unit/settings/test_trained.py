"""Models that are trained here: each recipe has keys of its own."""

from __future__ import annotations

from typing import Any

import pytest

from random_routing.errors import SettingsError
from random_routing.settings import parse_settings
from tests.helpers.workspace import params

GOOD = {
    "recipe": "sarsa", "data": "textgen", "episodes": 10, "step_size": 0.5, "discount": 1, "epsilon": 0.1,
    "temperature": 1,
}  # fmt: skip


def parsed(**changes: Any) -> Any:
    section = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    return parse_settings({**params(), "trained": {"walker": section}})


def test_a_good_one() -> None:
    walker = parsed().trained["walker"]
    assert (walker.name, walker.recipe, walker.episodes, walker.seed) == ("walker", "sarsa", 10, 0)
    assert walker.sources == ("trained here by sarsa on textgen",)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"recipe": "dqn"}, "trained.walker.recipe = 'dqn': must be one of"),
        ({"epsilon": None}, "trained.walker.epsilon is missing; it must be given"),
        ({"temperature": 0}, "trained.walker.temperature = 0: must be a number above 0"),
        ({"step_size": 1.5}, "trained.walker.step_size = 1.5: must be"),
        ({"episodes": 0}, "trained.walker.episodes = 0: must be a whole number"),
        ({"epochs": 3}, "trained.walker.epochs.*unknown key"),
        ({"episode": 3}, "did you mean episodes"),
        ({"recipe": "pixel-transformer"}, "trained.walker.episodes.*unknown key"),
        ({"data": "nothing"}, "trained.walker.data = 'nothing': must be one of"),
    ],
)
def test_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(SettingsError, match=line):
        parsed(**changes)


def test_a_name_of_an_asset() -> None:
    with pytest.raises(SettingsError, match="is the name of an asset too"):
        parse_settings({**params(), "trained": {"one": GOOD}})
