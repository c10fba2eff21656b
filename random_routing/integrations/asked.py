"""What a grid in Python is asked for, checked as params.yaml is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from random_routing.errors import SettingsError
from random_routing.settings import Base
from random_routing.settings.checks import whole
from random_routing.settings.decoders import Families, Rates
from random_routing.settings.keys import STRICT
from random_routing.settings.pydantic_lines import first_fault

PLAUSIBLE = {
    "base": "sample",
    "q_route": "uniform",
    "lambda_route": {"top_k": 20},
}  # without variants of one's own
Asked = TypeVar("Asked", bound="Grid")


@dataclass(frozen=True)
class Grid:
    """Rates, baselines, and how many texts of what length."""

    __pydantic_config__ = STRICT
    q: Rates
    lam: Rates
    baselines: Annotated[dict[str, tuple[Base, ...]], Families]
    samples: Annotated[int, whole(1, 10_000, "all texts of a prompt are held in memory")]
    max_new_tokens: Annotated[int, whole(1, 1_000_000, "no context is longer")]
    seed: Annotated[int, whole(0, 2**63 - 1, "a seed")]


def checked(kind: type[Asked], **arguments: Any) -> Asked:
    """Raises `SettingsError`, one line that names the argument."""
    try:
        return TypeAdapter(kind).validate_python(arguments)
    except ValidationError as error:
        fault = first_fault(kind, arguments, error)
        raise SettingsError(str(fault).removeprefix("params.yaml: ")) from None


def listed(given: float | Sequence[float]) -> list[float]:
    """The rates of a route, of which one may be given by itself."""
    return [given] if isinstance(given, float | int) else list(given)
