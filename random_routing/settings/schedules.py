"""Schedules of `params.yaml`: how a rate or a temperature changes over the steps of a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from random_routing.settings.checks import number, one_of, whole
from random_routing.settings.keys import MISSING, STRICT, check_keys, wrong

TEMPERATURE_RANGE = (1e-6, 100.0, False)  # low, high, low itself excluded; logits over less overflow
Temperature = Annotated[float, number(*TEMPERATURE_RANGE)]
Steps = Annotated[int, whole(1, 10**9)]
KEYS = ("shape", "start", "end", "length")


@dataclass(frozen=True)
class Schedule:
    """A factor over the steps that multiplies a route's rate, from `start` to `end` in `length` steps.

    In the file: constant | explore_first | a mapping, where only `length` may be left out.
    """

    __pydantic_config__ = STRICT
    kind: Annotated[str, one_of("linear", "cosine", "exponential"), Field(alias="shape")] = "constant"
    start: Annotated[float, number(0, 1)] = 1.0
    end: Annotated[float, number(0, 1)] = 1.0
    length: Steps = 0  # 0: the whole text

    @field_validator("start", "end")
    @classmethod
    def _reached(cls, value: float, info: ValidationInfo) -> float:
        if value == 0 and info.data.get("kind") == "exponential":
            raise wrong("must be above 0 (an exponential never reaches it)")
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _words(cls, value: Any, check: Callable[[Any], Schedule]) -> Schedule:
        if isinstance(value, str) and value in PRESETS:
            return PRESETS[value]
        if not isinstance(value, dict):
            raise wrong("must be constant, explore_first, or a mapping of shape, start, end and length")
        return _whole(value, check)


CONSTANT = Schedule()
PRESETS = {
    "constant": CONSTANT,
    # "Explore first, exploit later": all of the rate at the first token, none at the last. It scales the
    # weight of the random route, so λ falls where it means explore and rises to 1 where it means exploit.
    "explore_first": Schedule("linear", 1.0, 0.0),
}


@dataclass(frozen=True)
class Annealing(Schedule):
    """Temperatures over the steps, from `start` to `end` in `length` steps. Its shapes: `law.schedules.values`.

    In the file: a mapping, where only `length` may be left out.
    """

    __pydantic_config__ = STRICT
    kind: Annotated[str, one_of("linear", "cosine", "exponential", "exploratory"), Field(alias="shape")] = (
        "linear"
    )
    start: Temperature = 1.0
    end: Temperature = 1.0
    length: Steps = 0  # 0: the whole text

    @field_validator("end")
    @classmethod
    def _falls(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("kind") == "exploratory" and value > info.data.get("start", value):
            raise wrong("must be at most start (an exploratory temperature falls)")
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _words(cls, value: Any, check: Callable[[Any], Annealing]) -> Annealing:
        if not isinstance(value, dict):
            raise wrong("must be a mapping of shape, start, end and length")
        return _whole(check_keys(value, KEYS), check)

    @property
    def name(self) -> str:
        """Of a cell and its file: linear-1.3-0.7, with the length behind it where it is not the whole text."""
        length = f"-{self.length}" if self.length else ""
        return f"{self.kind}-{self.start:.12g}-{self.end:.12g}{length}"

    @property
    def words(self) -> str:
        """For people: 1.3 → 0.7, linear."""
        length = f" in {self.length} steps" if self.length else ""
        return f"{self.start:g} → {self.end:g}, {self.kind}{length}"


def _whole(value: dict[str, Any], check: Callable[[Any], Any]) -> Any:
    schedule = check(value)
    for key in ("end", "shape", "start"):
        if key not in value:
            raise wrong(MISSING, key)
    return schedule


def distinct(values: Sequence[Annealing]) -> Sequence[Annealing]:
    """Values that would name one cell stand there once."""
    names = [value.name for value in values]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise wrong("stands in the list twice; each value once", position)
    return values
