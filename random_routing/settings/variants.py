"""A variant of `params.yaml`: base decoder, routes, gates, schedules."""

from __future__ import annotations

from typing import Any

from random_routing.errors import fail
from random_routing.settings import checks
from random_routing.settings.decoders import VOCABULARY, parse_base, parse_grid
from random_routing.settings.schema import Gate, Route, Schedule, Settings, Variant, exploration_weight

ROUTES = (
    "must be uniform, {top_k: k}, unigram, {unigram: file}, frozen, {frozen: concentration}, "
    "{heads: d}, {layers: d} or experts"
)
GATES = "must be token, {span: mean length}, sequence or entropy"
SHAPES = ("linear", "cosine", "exponential")
SCHEDULES = "must be constant, explore_first, or a mapping of shape, start, end and length"
PRESETS = {
    "constant": Schedule(),
    # "Explore first, exploit later": all of the rate at the first token, none at the last. It scales the
    # weight of the random route, so λ falls where it means explore and rises to 1 where it means exploit.
    "explore_first": Schedule("linear", 1.0, 0.0),
}
BASELINES = ("greedy", "temperature", "top-k", "top-p", "min-p", "typical-p", "η-sampling", "beam", "human")
OPTIONAL = ("q_gate", "lambda_gate", "q_schedule", "lambda_schedule", "mix", "grid")


def parse_variant(name: str, value: Any) -> Variant:
    key = checks.name("variants", name)
    if name in BASELINES:
        raise fail(key, name, "is a baseline's name in the report; choose another")
    section = checks.mapping(key, value)
    checks.keys(key, section, ("base", "q_route", "lambda_route"), OPTIONAL)
    grid = checks.mapping(f"{key}.grid", section["grid"]) if "grid" in section else {}
    checks.keys(f"{key}.grid", grid, (), ("q", "lambda"))
    return Variant(
        base=parse_base(f"{key}.base", section["base"]),
        q_route=_route(f"{key}.q_route", section["q_route"]),
        lambda_route=_route(f"{key}.lambda_route", section["lambda_route"]),
        q_gate=_gate(f"{key}.q_gate", section.get("q_gate", "token")),
        lambda_gate=_gate(f"{key}.lambda_gate", section.get("lambda_gate", "token")),
        q_schedule=_schedule(f"{key}.q_schedule", section.get("q_schedule", "constant")),
        lambda_schedule=_schedule(f"{key}.lambda_schedule", section.get("lambda_schedule", "constant")),
        mix=checks.choice(f"{key}.mix", section.get("mix", "after"), ("after", "before")),
        q=parse_grid(f"{key}.grid.q", grid["q"]) if "q" in grid else (),
        lambdas=parse_grid(f"{key}.grid.lambda", grid["lambda"]) if "lambda" in grid else (),
    )


def _single(value: Any) -> tuple[str, Any]:
    """A plain word, or the name and value of a mapping with one entry that is not empty."""
    if isinstance(value, dict) and len(value) == 1:
        kind, given = next(iter(value.items()))
        return ("", None) if given is None else (kind, given)
    return (value, None) if isinstance(value, str) else ("", None)


def _route(key: str, value: Any) -> Route:
    kind, given = _single(value)
    at = f"{key}.{kind}"
    if kind in ("uniform", "experts") and given is None:
        return Route(kind)
    if kind == "unigram":
        return Route(kind, file="" if given is None else checks.text(at, given))
    if kind == "frozen":
        return Route(kind, concentration=1.0 if given is None else checks.number(at, given, 0.001, 1000))
    if kind == "top_k" and given is not None:
        return Route(kind, k=checks.integer(at, given, 1, VOCABULARY, "no vocabulary is larger"))
    if kind in ("heads", "layers") and given is not None:
        drop = checks.number(at, given, 0, 1)
        if drop == 1:
            raise fail(at, given, "must be below 1 (nothing of the model would be left)")
        return Route(kind, drop=drop)
    raise fail(key, value, ROUTES)


def _gate(key: str, value: Any) -> Gate:
    kind, given = _single(value)
    if kind in ("token", "sequence", "entropy") and given is None:
        return Gate(kind)
    if kind == "span" and given is not None:
        return Gate(kind, mean=checks.number(f"{key}.span", given, 1))
    raise fail(key, value, GATES)


def _schedule(key: str, value: Any) -> Schedule:
    if isinstance(value, str) and value in PRESETS:
        return PRESETS[value]
    if not isinstance(value, dict):
        raise fail(key, value, SCHEDULES)
    checks.keys(key, value, ("shape", "start", "end"), ("length",))
    shape = checks.choice(f"{key}.shape", value["shape"], SHAPES)
    ends = {end: checks.number(f"{key}.{end}", value[end], 0, 1) for end in ("start", "end")}
    for end, factor in ends.items():
        if shape == "exponential" and factor == 0:
            raise fail(f"{key}.{end}", value[end], "must be above 0 (an exponential never reaches it)")
    length = checks.integer(f"{key}.length", value["length"], 1, 10**9) if "length" in value else 0
    return Schedule(shape, ends["start"], ends["end"], length)


def check_gates(name: str, variant: Variant, settings: Settings) -> None:
    """Raises `SettingsError` for a rate of the grid that a gate cannot have.

    Between two spans lies at least one step, so their share is at most mean / (mean + 1), or 1 for a gate
    that never closes.
    """
    lambdas = variant.lambdas or settings.lambdas
    weights = [(lam, exploration_weight(lam, settings.lambda_means)) for lam in lambdas]
    for route, gate, schedule, rates in (
        ("q", variant.q_gate, variant.q_schedule, [(q, q) for q in variant.q or settings.q]),
        ("lambda", variant.lambda_gate, variant.lambda_schedule, weights),
    ):
        highest = gate.mean / (gate.mean + 1)
        for written, rate in rates if gate.kind == "span" else ():
            if rate > highest and not (rate == 1 and schedule == Schedule()):
                raise fail(
                    f"variants.{name}.{route}_gate.span", gate.mean,
                    f"spans of this mean length can fill at most {highest:.3g} of the steps, not {rate:g} "
                    f"(the grid's {route} = {written:g})",
                )  # fmt: skip
