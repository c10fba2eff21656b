"""Decoders of `params.yaml`: the variants of routing and the baselines. Their `repr` is a part of content keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    GetPydanticSchema,
    PlainValidator,
    TypeAdapter,
    model_validator,
)
from pydantic_core import core_schema

from random_routing.settings.checks import (
    Flag,
    Name,
    Reference,
    Text,
    Values,
    ValuesOrNone,
    below,
    number,
    one_of,
    whole,
)
from random_routing.settings.keys import STRICT, NotAKey, at, check_below, check_keys, wrong
from random_routing.settings.schedules import (
    CONSTANT,
    TEMPERATURE_RANGE,
    Annealing,
    Schedule,
    Temperature,
    distinct,
)

Rates = Values[Annotated[float, number(0, 1)]]
# The values that a base decoder's settings may take: (low, high, low itself excluded).
BASE_RANGES = {
    "temperature": TEMPERATURE_RANGE,
    "top_p": (0.0, 1.0, True),
    "min_p": (0.0, 1.0, False),
    "typical_p": (0.0, 1.0, True),
    "eta": (0.0, 1.0, True),
}
TopK = Annotated[int, whole(1, 10_000_000, "no vocabulary is larger")]
TopP = Annotated[float, number(*BASE_RANGES["top_p"])]
MinP = Annotated[float, number(*BASE_RANGES["min_p"])]
TypicalP = Annotated[float, number(*BASE_RANGES["typical_p"]), below(1, "1 is plain sampling")]
Drop = Annotated[float, number(0, 1), below(1, "nothing of the model would be left")]
Eta = Annotated[float, number(*BASE_RANGES["eta"]), below(1)]


_number: TypeAdapter[float] = TypeAdapter(Temperature)
_annealing = TypeAdapter(Annealing)


def _temperature(value: Any) -> float | Annealing:
    """A union of both would name the kind among the keys of what is wrong."""
    return (_annealing if isinstance(value, dict) else _number).validate_python(value)


@dataclass(frozen=True)
class Base:
    """A base decoder: how p comes from the model's logits. The defaults leave them as they are.

    In the file: sample | greedy | a mapping of one or more settings, as in {temperature: 0.7, top_p: 0.9}. A
    temperature may change over the steps (`law.schedules.step_bases`).
    """

    __pydantic_config__ = STRICT
    greedy: Annotated[bool, NotAKey] = False
    temperature: Annotated[float | Annealing, PlainValidator(_temperature)] = 1.0
    top_k: TopK = 0  # 0: off
    top_p: TopP = 1.0
    min_p: MinP = 0.0
    typical_p: TypicalP = 1.0
    eta: Eta = 0.0

    @model_validator(mode="wrap")
    @classmethod
    def _words(cls, value: Any, check: Callable[[Any], Base]) -> Base:
        if value in ("sample", "greedy"):
            return cls(greedy=value == "greedy")
        if not isinstance(value, dict) or not value:
            names = sorted(field.name for field in fields(cls) if field.name != "greedy")
            raise wrong(f"must be sample, greedy, or a mapping of {', '.join(names)}")
        return check(value)


@dataclass(frozen=True)
class Baselines:
    """Section `baselines`: one decoder per value. Widths of beam search stand with the tasks."""

    __pydantic_config__ = STRICT
    greedy: Flag = False
    temperature: ValuesOrNone[Temperature] = ()
    top_k: ValuesOrNone[TopK] = ()
    top_p: ValuesOrNone[TopP] = ()
    min_p: ValuesOrNone[MinP] = ()
    typical_p: ValuesOrNone[TypicalP] = ()
    eta: ValuesOrNone[Eta] = ()
    annealing: Annotated[ValuesOrNone[Annealing], AfterValidator(distinct)] = ()


FAMILIES = tuple(field.name for field in fields(Baselines))


def _families(value: Any, check: Callable[[Any], Baselines]) -> dict[str, tuple[Base, ...]]:
    """Family → decoders, in the order of the file."""
    lists = vars(check(check_keys(value, list(FAMILIES))))
    lists = lists | {"greedy": (True,) if lists["greedy"] else ()}
    made_by = {family: "temperature" if family == "annealing" else family for family in value}
    return {
        family: tuple(Base(**{made_by[family]: setting}) for setting in lists[family]) for family in value
    }


# pydantic checks the section by its class, and makes the families of it.
_section = core_schema.no_info_wrap_validator_function
Families = GetPydanticSchema(lambda _, handler: _section(_families, handler.generate_schema(Baselines)))


def _kind(value: Any, alone: tuple[str, ...], valued: tuple[str, ...], allowed: str) -> dict[str, Any]:
    """Of a plain word, or of a mapping with one entry that is not empty."""
    if isinstance(value, str) and value in alone:
        return {"kind": value}
    if isinstance(value, dict) and len(value) == 1:
        [(kind, setting)] = value.items()
        if kind in valued and setting is not None:
            return {"kind": kind, kind: setting}
    raise wrong(allowed)


@dataclass(frozen=True)
class Route:
    """A random route: where δ comes from. What each kind is: `law.routes` and `models.random_paths`.

    In the file: a kind alone, or {kind: its value}.
    """

    __pydantic_config__ = STRICT
    kind: str  # uniform | top_k | unigram | frozen | heads | layers | experts
    k: Annotated[TopK, Field(alias="top_k")] = 0
    concentration: Annotated[float, number(0.001, 1000), Field(alias="frozen")] = 0.0  # 1 if left out
    # heads, layers: the probability that one is left out
    drop: Annotated[Drop, Field(validation_alias=AliasChoices("heads", "layers"))] = 0.0
    file: Annotated[Text, Field(alias="unigram")] = ""  # a text file; empty: the task's prepared references
    digest: Annotated[str, NotAKey] = ""  # unigram: of the frequencies, once they are known

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> dict[str, Any]:
        kind = _kind(
            value, ("uniform", "experts", "unigram", "frozen"), ("top_k", "unigram", "frozen", "heads", "layers"),
            "must be uniform, {top_k: k}, unigram, {unigram: file}, frozen, {frozen: concentration}, "
            "{heads: d}, {layers: d} or experts",
        )  # fmt: skip
        return {"frozen": 1.0} | kind if kind["kind"] == "frozen" else kind

    @property
    def structural(self) -> bool:
        """Does δ come from the model itself, run along a random path?"""
        return self.kind in ("heads", "layers", "experts")


@dataclass(frozen=True)
class Gate:
    """When a route is taken. `random_routing.law.gates` says what each kind is.

    In the file: token | {span: mean length} | sequence | entropy.
    """

    __pydantic_config__ = STRICT
    kind: str = "token"
    mean: Annotated[float, number(1), Field(alias="span")] = 1.0  # span: mean length in tokens
    # entropy: gate probability over normalised entropy, once it is calibrated
    scale: Annotated[float, NotAKey] = 0.0

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> dict[str, Any]:
        allowed = "must be token, {span: mean length}, sequence or entropy"
        return _kind(value, ("token", "sequence", "entropy"), ("span",), allowed)


def too_often(gate: Gate, schedule: Schedule, rate: float) -> str:
    """Why a gate cannot be open at a rate; empty where it can.

    Between two spans lies at least one step, so their share is at most mean / (mean + 1), or 1 for a gate that never
    closes.
    """
    highest = gate.mean / (gate.mean + 1)
    if gate.kind != "span" or rate <= highest or (rate == 1 and schedule == CONSTANT):
        return ""
    return f"spans of this mean length can fill at most {highest:.3g} of the steps, not {rate:g}"


def exploration_weight(lam: float, lambda_means: str) -> float:
    """Weight of δ_λ. The formula of the source gives λ to exploration, its prose 1 − λ."""
    return lam if lambda_means == "explore" else round(1 - lam, 12)


# A token of a random route where only r counts, so that it belongs to neither q nor λ.
BY_R = "random, by r"
BASELINES = (
    "greedy", "temperature", "top-k", "top-p", "min-p", "typical-p", "η-sampling", "annealing", "beam", "human",
    "VADER",
)  # fmt: skip


def _not_a_baseline(name: str) -> str:
    if name in BASELINES:
        raise wrong("is a baseline's name in the report; choose another")
    return name


VariantName = Annotated[Name, AfterValidator(_not_a_baseline)]


@dataclass(frozen=True)
class Variant:
    """Base decoder, routes, gates, schedules: a family of decoders, one per pair (q, λ) of the grid."""

    __pydantic_config__ = STRICT
    base: Base
    q_route: Route
    lambda_route: Route
    q_gate: Gate = Gate()
    lambda_gate: Gate = Gate()
    q_schedule: Schedule = CONSTANT
    lambda_schedule: Schedule = CONSTANT
    # Mixing comes after or before the base's truncation.
    mix: Annotated[str, one_of("after", "before")] = "after"
    # A grid of its own; empty: the grid of all.
    q: Annotated[Rates, at("grid.q")] = ()
    lambdas: Annotated[Rates, at("grid.lambda")] = ()
    tasks: ValuesOrNone[Reference] = ()  # that have it, or their kinds; empty: all

    @model_validator(mode="before")
    @classmethod
    def _grid(cls, value: Any) -> Any:
        return check_below(cls, value)

    @property
    def collapses(self) -> bool:
        """Do q and λ count only through r = 1 − (1−q)(1−λ)?

        They do where both routes draw from the same δ and are taken independently, at every step or for
        a whole text, with the same probability throughout. One gate decides then, so that both share a
        random path, also where they are mixed before the base.
        """
        return (
            self.q_route == self.lambda_route
            and self.q_gate == self.lambda_gate
            and self.q_gate.kind in ("token", "sequence")
            and self.q_schedule == self.lambda_schedule == CONSTANT
        )

    @property
    def routes(self) -> tuple[str, ...]:
        """What the numbers 0, 1 and 2 of a text's `routes` mean."""
        return ("model", BY_R) if self.collapses else ("model", "q-route", "λ-route")
