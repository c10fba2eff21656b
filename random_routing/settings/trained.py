"""A model of `params.yaml` that is trained here: what by, and on which data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from random_routing.settings.checks import Reference, Text, one_of, whole
from random_routing.settings.keys import STRICT, NotAKey

RECIPES = ("pixel-transformer", "q-learning", "sarsa")


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

    @property
    def sources(self) -> tuple[str, ...]:
        return (f"trained here by {self.recipe} on {self.data}",)
