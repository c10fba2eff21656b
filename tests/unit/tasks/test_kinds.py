"""The tables of kinds and readers hold what settings allow, so that a name cannot be forgotten in one of them."""

from __future__ import annotations

from random_routing.settings.assets import READERS as NAMED
from random_routing.settings.tasks import KINDS
from random_routing.settings.trained import RECIPES as NAMED_RECIPES
from random_routing.tasks import TASK_KINDS
from random_routing.tasks.named_data_sets import READERS
from random_routing.training import RECIPES


def test_every_kind_reader_and_recipe_is_in_both_tables() -> None:
    assert set(KINDS) == set(TASK_KINDS)
    assert NAMED.allowed("") == f"must be one of {', '.join(sorted(READERS))}"
    assert set(NAMED_RECIPES) == set(RECIPES)
