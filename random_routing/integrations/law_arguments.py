"""What the processor may be given: a value out of range is a `ValueError` of one line that names it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError

from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Annealing, Base, Gate, Route, Schedule
from random_routing.settings.decoders import BASE_RANGES, too_often

GATE_KINDS = ("token", "span", "sequence", "entropy")


def read(kind: type, name: str, value: Any) -> Any:
    """As written in params.yaml, or already made."""
    if isinstance(value, kind):
        return value
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = "".join(f".{step}" for step in (*first["loc"], *first.get("ctx", {}).get("at", ())))
        raise ValueError(f"`{name}{key}` = {first['input']!r}: {first['msg']}") from None


def check_rate(name: str, rate: Any) -> None:
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(f"`{name}` has to be a float in the [0, 1] interval, but is {rate}")


def check_gate(name: str, gate: Gate, rate: float, schedule: Schedule) -> None:
    """A span gate's rate leaves a step between two spans, as in params.yaml."""
    if gate.kind not in GATE_KINDS:
        raise ValueError(f"`{name}` has to be of kind {', '.join(GATE_KINDS)}, but is {gate.kind}")
    if gate.kind == "entropy" and not gate.scale > 0:
        raise ValueError(
            f"`{name}` needs a scale above 0, which the metadata of a generated cell holds, but has {gate.scale}"
        )
    if gate.kind == "span":
        read(Gate, name, {"span": gate.mean})
        if why := too_often(gate, schedule, rate):
            raise ValueError(f"`{name}` = span {gate.mean:g}: {why}")


def check_schedule(name: str, schedule: Schedule, max_new_tokens: int | None) -> None:
    if schedule == Schedule():
        return
    length = {"length": schedule.length} if schedule.length else {}
    read(Schedule, name, {"shape": schedule.kind, "start": schedule.start, "end": schedule.end, **length})
    if not schedule.length and max_new_tokens is None:
        raise ValueError(f"`{name}` lasts the whole text: give its `length`, or `max_new_tokens`")


def check_base(base: Base) -> None:
    if isinstance(base.temperature, Annealing):
        raise ValueError(
            "`base` has to have one temperature: to change it over a text is the pipeline's alone"
        )
    for setting, (low, high, open_low) in BASE_RANGES.items():
        value = getattr(base, setting)
        if value != getattr(Base(), setting) and not (
            low <= value <= high and (value > low or not open_low)
        ):
            raise ValueError(f"`base` has to have {setting} in {low:g} to {high:g}, but it is {value}")
    if not isinstance(base.top_k, int) or base.top_k < 0:
        raise ValueError(f"`base` has to have a whole top_k of at least 0 (off), but it is {base.top_k}")


def check_route(name: str, route: Route, vocabulary: Vocabulary, frequencies: bool) -> None:
    """frequencies: are any given?"""
    if not isinstance(route, Route):
        raise ValueError(f"`{name}` has to be a Route, such as Route('top_k', k=20), but is {route!r}")
    if route.structural:
        raise ValueError(f"`{name}` = {route.kind} runs the model itself: use `random_routing(model, …)`")
    if route.kind == "top_k" and not (isinstance(route.k, int) and 1 <= route.k <= len(vocabulary.allowed)):
        raise ValueError(f"`{name}` has to have k in [1, {len(vocabulary.allowed)}], but it is {route.k}")
    if route.kind == "frozen" and not route.concentration > 0:
        raise ValueError(f"`{name}` has to have a positive concentration, but it is {route.concentration}")
    if route.kind not in ("uniform", "top_k", "frozen", "unigram"):
        raise ValueError(f"`{name}` has to be uniform, top_k, unigram or frozen, but is {route.kind}")
    if route.kind == "unigram" and not frequencies:
        raise ValueError(f"`{name}` = unigram needs `frequencies`, one for each token")


def check_steps(max_new_tokens: Any) -> None:
    if max_new_tokens is not None and not (isinstance(max_new_tokens, int) and max_new_tokens >= 1):
        raise ValueError(
            f"`max_new_tokens` has to be a whole number of at least 1, but is {max_new_tokens}"
        )


def relative(frequencies: Any, vocabulary: Vocabulary) -> np.ndarray:
    """Of the tokens that may be drawn: (V,) float64, with sum 1."""
    values = torch.as_tensor(frequencies, dtype=torch.float64).cpu().numpy()
    if values.shape != (vocabulary.size,):
        raise ValueError(f"`frequencies` has to be of shape ({vocabulary.size},), but is of {values.shape}")
    kept = np.zeros(vocabulary.size)
    kept[vocabulary.allowed] = values[vocabulary.allowed]
    if not (kept >= 0).all() or not 0 < kept.sum() < np.inf:
        raise ValueError("`frequencies` has to be at least 0, and above 0 for some token that may be drawn")
    return kept / kept.sum()
