"""The law of one request, as `SamplingParams.extra_args` has it: words and keys of params.yaml."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError, ValidationInfo, WrapValidator, field_validator

from random_routing.errors import SettingsError, short
from random_routing.law.cells import Decoder
from random_routing.settings import Annealing, Base, Gate, Route, Schedule
from random_routing.settings.checks import Flag, number, one_of
from random_routing.settings.decoders import too_often
from random_routing.settings.keys import STRICT, at, wrong
from random_routing.settings.pydantic_lines import first_fault

KEY = "random_routing"  # in `extra_args`, and in `vllm_xargs` of a request to vLLM's server
# Of SamplingParams. vLLM applies them to P, some of them after the processor and some before, by the runner.
NEUTRAL = {
    "temperature": (1.0,), "top_p": (1.0,), "top_k": (0, -1), "min_p": (0.0,), "repetition_penalty": (1.0,),
    "presence_penalty": (0.0,), "frequency_penalty": (0.0,),
}  # fmt: skip
ROUTES = ("uniform", "top_k", "frozen")
Weight = Annotated[float, number(0, 1)]


def _scaled(value: Any, check: Callable[[Any], Gate]) -> Gate:
    """{entropy: scale} too. In params.yaml a scale is what the calibration finds; a request has to bring it."""
    if isinstance(value, dict) and list(value) == ["entropy"]:
        scale = value["entropy"]
        if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0 < scale <= 1e6:
            raise wrong("must be a scale above 0 and at most 1000000", "entropy")
        return Gate("entropy", scale=float(scale))
    if value == "entropy":
        raise wrong(
            "needs its scale, {entropy: scale}; reports/gates.csv and the metadata of a cell have it"
        )
    return check(value)


ScaledGate = Annotated[Gate, WrapValidator(_scaled)]


@dataclass(frozen=True)
class Routing:
    """What a request may say. All can be left out; `lambda` weighs exploration."""

    __pydantic_config__ = STRICT
    q: Weight = 0.0
    lam: Annotated[Weight, at("lambda")] = 0.0
    base: Base = Base()
    q_route: Route = Route("uniform")
    lambda_route: Route = Route("uniform")
    q_gate: ScaledGate = Gate()
    lambda_gate: ScaledGate = Gate()
    q_schedule: Schedule = Schedule()
    lambda_schedule: Schedule = Schedule()
    mix: Annotated[str, one_of("after", "before")] = "after"
    include_eos: Flag = False

    @field_validator("q_route", "lambda_route")
    @classmethod
    def _possible(cls, route: Route, info: ValidationInfo) -> Route:
        if route.kind not in ROUTES:
            why = "it runs the model itself" if route.structural else "its frequencies do not fit a request"
            raise wrong(f"cannot be had in vLLM ({why}); it has {', '.join(ROUTES)}")
        return route

    @field_validator("base")
    @classmethod
    def _steady(cls, base: Base) -> Base:
        if isinstance(base.temperature, Annealing):
            raise wrong("cannot be had in vLLM (it changes over a text); a temperature there is a number")
        return base

    @property
    def plain(self) -> bool:
        """Does it leave the model's distribution as it is?"""
        return not self.q and not self.lam and self.base == Base()

    @property
    def of_a_text(self) -> bool:
        """Is something drawn once for a text, so that it needs a seed that a preempted request keeps?"""
        gates, routes = (self.q_gate, self.lambda_gate), (self.q_route, self.lambda_route)
        return any(g.kind in ("span", "sequence") for g in gates) or any(r.kind == "frozen" for r in routes)

    @cached_property
    def decoder(self) -> Decoder:
        """Its law. Unlike a cell's, the rate of an entropy gate multiplies what the gate gives."""
        return Decoder(
            self.base, self.q, self.lam, self.q_route, self.lambda_route, self.q_gate, self.lambda_gate,
            self.q_schedule, self.lambda_schedule, self.mix,
        )  # fmt: skip


ROUTING = TypeAdapter(Routing)


def read_routing(value: Any) -> Routing:
    """value: a mapping, or its JSON text (vLLM's server takes no mappings). Raises `SettingsError`, one line.

    Equal settings are one object: requests with the same law are worked on together.
    """
    try:
        return _read(value if isinstance(value, str) else json.dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingsError(f"{KEY}: is not JSON ({short(error)})") from None


@lru_cache(maxsize=4096)
def _read(text: str) -> Routing:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise SettingsError(f"{KEY}: must be a mapping such as {{q: 0.03}}, or its JSON text")
    try:
        routing = ROUTING.validate_python(value)
    except ValidationError as error:
        fault = str(first_fault(Routing, value, error))
        raise SettingsError(f"{KEY}: {fault.removeprefix('params.yaml: ')}") from None
    for name, gate, schedule, rate in (
        ("q", routing.q_gate, routing.q_schedule, routing.q),
        ("lambda", routing.lambda_gate, routing.lambda_schedule, routing.lam),
    ):
        if why := too_often(gate, schedule, rate):
            raise SettingsError(f"{KEY}: {name}_gate.span = {gate.mean:g}: {why}")
    return routing


def asked(params: Any) -> Routing | None:
    """The law of a request with these `SamplingParams`; None where nothing is to be done to its logits.

    Raises `SettingsError` for settings that cannot be, or that would be applied on top of the law.
    """
    value = (params.extra_args or {}).get(KEY)
    if value is None:
        return None
    routing = read_routing(value)
    if routing.plain:
        return None
    if routing.of_a_text and params.seed is None:
        raise SettingsError(f"{KEY}: span and sequence gates and frozen routes need the request's `seed`")
    for name, off in NEUTRAL.items():
        if (given := getattr(params, name)) not in off:
            raise SettingsError(
                f"{KEY}: needs {name}={off[0]:g}, not {given:g}, which would act on the mixture; temperature and "
                "truncations are given as `base`, such as {temperature: 0.7, top_p: 0.9} or greedy"
            )
    return routing
