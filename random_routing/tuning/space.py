"""What is searched: parameters that Optuna suggests → a decoder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from random_routing.law.cells import Cell, Decoder, distinct_decoder, mean_rate
from random_routing.settings import Base, Schedule, Settings, exploration_weight

ZERO = 1 / 8
TEMPERATURES, TOP_P = (0.3, 1.5), (0.5, 1.0)


class Suggests(Protocol):
    """Of an `optuna.Trial` what is used here."""

    def suggest_float(self, name: str, low: float, high: float) -> float: ...

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any: ...


def plain(family: str, settings: Settings) -> dict[str, Any]:
    """Where a family begins: plain sampling; with routes, the base of the first variant without any."""
    if family in ("temperature", "top_p"):
        return {family: 1.0}
    variants = settings.tune.variants
    return {"place of q": 0.0, "place of λ": 0.0} | ({"variant": variants[0]} if len(variants) > 1 else {})


def families(settings: Settings) -> list[str]:
    """routing; scheduled, where schedules are asked for; the rivals. Each gets the same budget."""
    scheduled = ["scheduled"] if set(settings.tune.schedules) != {"constant"} else []
    return ["routing", *scheduled, *settings.tune.rivals]


def suggest(trial: Suggests, family: str, settings: Settings, steps: int, name: str) -> Cell:
    """A cell of the family. steps: of the task's texts. λ is searched as the weight of its route."""
    if family == "temperature":
        value = trial.suggest_float("temperature", *TEMPERATURES)
        return Cell(name, family, Decoder(Base(temperature=value)), setting=value)
    if family == "top_p":
        value = trial.suggest_float("top_p", *TOP_P)
        return Cell(name, family, Decoder(Base(top_p=value)), setting=value)
    tune = settings.tune
    variant_name = (
        tune.variants[0]
        if len(tune.variants) == 1
        else trial.suggest_categorical("variant", list(tune.variants))
    )
    variant = settings.variants[variant_name]
    q, weight = (rate(trial, knob, tune.floor) for knob in ("q", "λ"))
    if family == "scheduled":
        end = trial.suggest_float("end", 0.0, 1.0)
        falling = Schedule(kind="linear", start=1.0, end=end)
        variant = replace(variant, q_schedule=falling, lambda_schedule=falling)
    decoder, r = distinct_decoder(variant, q, weight), mean_rate(variant, q, weight, steps)
    lam = exploration_weight(weight, settings.lambda_means)  # as params.yaml would write it
    return Cell(name, family, decoder, variant_name, q, lam, r)


def rate(trial: Suggests, knob: str, floor: float) -> float:
    """0, or a rate from `floor` to 1 on a logarithmic scale.

    One number from 0 to 1 stands for it, whose first eighth is 0: a parameter that every trial has, so that the
    sampler can learn from all of them.
    """
    position = trial.suggest_float(f"place of {knob}", 0.0, 1.0)
    if position < ZERO:
        return 0.0
    return float(floor ** ((1 - position) / (1 - ZERO)))
