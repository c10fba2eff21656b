"""Hypotheses of `params.yaml`: which cells are compared with what, named before a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, WrapValidator

from random_routing.settings.checks import Reference, ValuesOrNone, number, one_of
from random_routing.settings.keys import STRICT, wrong

AGAINST = ("temperature", "top_p", "base")


def _range(value: Any, check: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise wrong("must be a list of two rates, the least and the greatest")
    low, high = check(value)
    if low > high:
        raise wrong("must be the least rate first")
    return low, high


Rate = Annotated[float, number(0, 1)]
Range = Annotated[tuple[Rate, Rate], WrapValidator(_range)]


@dataclass(frozen=True)
class Contrast:
    """The cells of a variant with rates in some ranges, averaged, against a curve at equal diversity or against the
    base decoder without routes. tasks: empty stands for all."""

    __pydantic_config__ = STRICT
    variant: Reference
    against: Annotated[str, one_of(*AGAINST)]
    q: Range = (0.0, 1.0)
    lam: Annotated[Range, Field(validation_alias="lambda")] = (0.0, 1.0)
    r: Range = (0.0, 1.0)
    tasks: ValuesOrNone[Reference] = ()
