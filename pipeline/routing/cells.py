"""Cells (what a person asked for) and decoders (what has to be run).

Two cells with the same law, such as (q, λ) and (λ, q) with equal routes, share one decoder; it is
run once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.routing.law import effective_rate, exploration_weight
from pipeline.routing.schedules import factors
from pipeline.settings import Base, Gate, Route, Schedule, Settings, Task, Variant

NO_ROUTE = Route("none")


@dataclass(frozen=True)
class Decoder:
    """One distinct law. `q`, `lam`: rates of the two random routes; `beams` > 0: beam search.

    The rate of step t is the route's rate times its schedule's factor; the gate says which steps have it.
    """

    base: Base
    q: float = 0.0
    lam: float = 0.0
    q_route: Route = NO_ROUTE
    lambda_route: Route = NO_ROUTE
    q_gate: Gate = Gate()
    lambda_gate: Gate = Gate()
    q_schedule: Schedule = Schedule()
    lambda_schedule: Schedule = Schedule()
    mix: str = "after"
    beams: int = 0

    def describe(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Cell:
    """A point of the comparison. q, lam, r, setting: None where they have no meaning."""

    name: str
    family: str
    decoder: Decoder
    variant: str = ""
    q: float | None = None
    lam: float | None = None  # as written in params.yaml, under either reading of λ
    r: float | None = None
    setting: float | None = None

    def describe(self) -> dict[str, Any]:
        return {**asdict(self), "decoder": self.decoder.describe()}


def distinct_decoder(variant: Variant, q: float, weight: float) -> Decoder:
    """The law of (q, λ-weight) in its simplest form, so that equal laws are equal objects.

    Where the law collapses one gate decides and routes say 1; a route that is never taken does not
    count, and a gate that is always open is a plain one.
    """
    if q == 1 and variant.q_schedule == Schedule():
        weight = 0.0  # the λ-law is never reached
    if variant.collapses:
        q, weight = effective_rate(q, weight), 0.0
    return Decoder(
        base=variant.base,
        q=q,
        lam=weight,
        q_route=variant.q_route if q else NO_ROUTE,
        lambda_route=variant.lambda_route if weight else NO_ROUTE,
        q_gate=_gate(variant.q_gate, variant.q_schedule, q),
        lambda_gate=_gate(variant.lambda_gate, variant.lambda_schedule, weight),
        q_schedule=variant.q_schedule if q else Schedule(),
        lambda_schedule=variant.lambda_schedule if weight else Schedule(),
        mix=variant.mix if q or weight else "after",
    )


def _gate(gate: Gate, schedule: Schedule, rate: float) -> Gate:
    always = rate == 1 and schedule == Schedule()
    return Gate() if always or not rate else gate


def gate_rates(decoder: Decoder, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """What `gates.weights` takes for the two routes, each (steps,): the rate times the schedule's factor.

    The scale of an entropy gate holds the rate already.
    """
    q, lam = factors(decoder.q_schedule, steps), factors(decoder.lambda_schedule, steps)
    return (
        q if decoder.q_gate.kind == "entropy" else decoder.q * q,
        lam if decoder.lambda_gate.kind == "entropy" else decoder.lam * lam,
    )


def mean_rate(variant: Variant, q: float, weight: float, steps: int) -> float:
    """r = 1 − (1−q)(1−λ), with schedules the mean over the steps."""
    q_steps = q * factors(variant.q_schedule, steps)
    lambda_steps = weight * factors(variant.lambda_schedule, steps)
    rates = [effective_rate(a, b) for a, b in zip(q_steps, lambda_steps, strict=True)]
    return rates[0] if len(set(rates)) == 1 else round(float(np.mean(rates)), 12)


def grid_of(variant: Variant, settings: Settings) -> list[tuple[float, float, float]]:
    """(q, λ as written, weight of δ_λ) of each of its cells."""
    return [
        (q, lam, exploration_weight(lam, settings.lambda_means))
        for q in variant.q or settings.q
        for lam in variant.lambdas or settings.lambdas
    ]


def routing_cells(settings: Settings, task: Task) -> list[Cell]:
    cells = []
    for name, variant in settings.variants.items():
        for q, lam, weight in grid_of(variant, settings):
            cells.append(
                Cell(
                    name=f"routing-{name}-q{q:.12g}-l{lam:.12g}",
                    family="routing",
                    decoder=distinct_decoder(variant, q, weight),
                    variant=name,
                    q=q,
                    lam=lam,
                    r=mean_rate(variant, q, weight, task.max_new_tokens),
                )
            )
    return cells


def baseline_cells(settings: Settings, task: Task) -> list[Cell]:
    cells = []
    for family, bases in settings.baselines.items():
        for base in bases:
            if family == "greedy":
                cells.append(Cell("greedy", "greedy", Decoder(base)))
                continue
            value = float(getattr(base, family))
            cells.append(Cell(f"{family}-{value:.12g}", family, Decoder(base), setting=value))
    for beams in task.beams:
        decoder = Decoder(Base(greedy=True), beams=beams)
        cells.append(Cell(f"beam-{beams}", "beam", decoder, setting=float(beams)))
    return cells


def all_cells(settings: Settings, task: Task) -> list[Cell]:
    """Every cell of the task, names unique, in a stable order."""
    return [*baseline_cells(settings, task), *routing_cells(settings, task)]


def representatives(cells: list[Cell]) -> dict[Decoder, str]:
    """Distinct decoder → name of the first cell that asks for it."""
    first: dict[Decoder, str] = {}
    for cell in cells:
        first.setdefault(cell.decoder, cell.name)
    return first
