"""A model of `params.yaml` that is trained here: what by, and on which data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from random_routing.settings.checks import Reference, Text, number, one_of, whole
from random_routing.settings.keys import MISSING, STRICT, NotAKey, check_keys, written, wrong

RECIPES = ("pixel-transformer", "q-learning", "sarsa")
TD = ("q-learning", "sarsa")  # tabular control by temporal differences
PIXELS = ("pixel-transformer",)


@dataclass(frozen=True)
class By:
    """A mark: models of these recipes alone have the key, and must have it."""

    recipes: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """A model that stage train makes, deterministically, of a data asset. An asset of kind `model` as others are."""

    __pydantic_config__ = STRICT
    kind: ClassVar[str] = "model"
    sha256: ClassVar[tuple[str, ...]] = ()
    served: ClassVar[bool] = False
    name: Annotated[str, NotAKey, Field(default="")]
    recipe: Annotated[str, one_of(*RECIPES)]
    data: Reference
    seed: Annotated[int, whole(0)] = 0
    licence: Text = ""
    # Of the learner: how many episodes, α, γ and ε; the policy is softmax(Q / temperature).
    episodes: Annotated[int, By(TD), whole(1, 100_000, "noise of each step is held in memory")] = 0
    step_size: Annotated[float, By(TD), number(0, 1, open_low=True)] = 0.0
    discount: Annotated[float, By(TD), number(0, 1)] = 0.0
    epsilon: Annotated[float, By(TD), number(0, 1)] = 0.0
    temperature: Annotated[float, By(TD), number(0, 1e6, open_low=True)] = 0.0
    # Of the transformer: its size, and steps of AdamW on `batch` images each.
    width: Annotated[int, By(PIXELS), whole(1, 65_536)] = 0
    layers: Annotated[int, By(PIXELS), whole(1, 1_000)] = 0
    heads: Annotated[int, By(PIXELS), whole(1, 65_536)] = 0  # width / heads must be even
    steps: Annotated[int, By(PIXELS), whole(1, 10_000_000)] = 0
    batch: Annotated[int, By(PIXELS), whole(1, 1_000_000)] = 0
    learning_rate: Annotated[float, By(PIXELS), number(0, 1, open_low=True)] = 0.0
    dropout: Annotated[float, By(PIXELS), number(0, 0.9)] = 0.0  # of attention

    @model_validator(mode="before")
    @classmethod
    def _keys(cls, value: Any) -> Any:
        """Each recipe has keys of its own."""
        recipe = value.get("recipe") if isinstance(value, dict) else None
        if recipe not in RECIPES:
            return value
        marks = {path[0]: [m for m in marks if isinstance(m, By)] for path, marks in written(Trained)}
        check_keys(value, [key for key, by in marks.items() if all(recipe in m.recipes for m in by)])
        for key, by in marks.items():
            if by and recipe in by[0].recipes and key not in value:
                raise wrong(MISSING, key)
        return value

    @model_validator(mode="after")
    def _divides(self) -> Trained:
        """Rotary positions turn pairs of a head's dimensions."""
        if self.heads and (self.width % self.heads or self.width // self.heads % 2):
            raise wrong(f"must be a multiple of 2 × heads = {2 * self.heads}", "width")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        return (f"trained here by {self.recipe} on {self.data}",)
