"""Cells (what a person asked for) and decoders (what has to be run).

Two cells with the same law, such as (q, λ) and (λ, q) with equal routes, share one decoder; it is
run once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from random_routing.law.mixing import effective_rate
from random_routing.law.origin import Origin
from random_routing.law.schedules import simplest, values
from random_routing.settings import (
    Annealing,
    Base,
    Gate,
    Route,
    Schedule,
    Settings,
    Task,
    Variant,
    exploration_weight,
)

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

    @property
    def rates(self) -> dict[Origin, float]:
        return {Origin.Q: self.q, Origin.LAMBDA: self.lam}

    @property
    def routes(self) -> dict[Origin, Route]:
        return {Origin.Q: self.q_route, Origin.LAMBDA: self.lambda_route}

    @property
    def gates(self) -> dict[Origin, Gate]:
        return {Origin.Q: self.q_gate, Origin.LAMBDA: self.lambda_gate}

    def describe(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Cell:
    """A point of the comparison. q, lam, r, setting: None where they have no meaning.

    setting: the baseline's value; of annealing the mean temperature over the steps that a text may have.
    """

    name: str
    family: str
    decoder: Decoder
    variant: str = ""
    q: float | None = None
    lam: float | None = None  # as written in params.yaml, under either reading of λ
    r: float | None = None
    setting: float | None = None

    def describe(self) -> dict[str, Any]:
        return asdict(self)


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
        base=simplest(variant.base),
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


def step_rates(law: Variant | Decoder, q: float, weight: float, steps: int) -> dict[Origin, np.ndarray]:
    """Rates of the two routes at each step, each (steps,): the route's rate times its schedule's factor."""
    schedules = {Origin.Q: (q, law.q_schedule), Origin.LAMBDA: (weight, law.lambda_schedule)}
    return {origin: rate * values(schedule, steps) for origin, (rate, schedule) in schedules.items()}


def gate_rates(decoder: Decoder, steps: int) -> dict[Origin, np.ndarray]:
    """What `gates.weights` takes for the two routes: the steps' rates, each (steps,).

    The scale of an entropy gate holds the rate already, so that only the schedule's factor is left.
    """
    gates = decoder.gates
    q, lam = (1.0 if gates[o].kind == "entropy" else rate for o, rate in decoder.rates.items())
    return step_rates(decoder, q, lam, steps)


def mean_rate(variant: Variant, q: float, weight: float, steps: int) -> float:
    """r = 1 − (1−q)(1−λ), with schedules the mean over the steps."""
    if variant.q_schedule == variant.lambda_schedule == Schedule():
        return effective_rate(q, weight)
    of_q, of_lambda = step_rates(variant, q, weight, steps).values()
    return round(float(np.mean(1 - (1 - of_q) * (1 - of_lambda))), 12)


def routing_cells(settings: Settings, task: Task) -> list[Cell]:
    cells = []
    for name, variant in settings.variants_of(task).items():
        grid = (variant.q or settings.q, variant.lambdas or settings.lambdas)
        cells += variant_cells(name, variant, *grid, settings.lambda_means, task.max_new_tokens)
    return cells


def variant_cells(
    name: str, variant: Variant, qs: Sequence[float], lambdas: Sequence[float], means: str, steps: int
) -> list[Cell]:
    """A cell for each pair (q, λ) of a variant's grid. means: `lambda_means`; steps: that its schedules run over."""
    cells = []
    for q, lam in product(qs, lambdas):
        weight = exploration_weight(lam, means)
        cells.append(
            Cell(
                name=f"routing-{name}-q{q:.12g}-l{lam:.12g}",
                family="routing",
                decoder=distinct_decoder(variant, q, weight),
                variant=name,
                q=q,
                lam=lam,
                r=mean_rate(variant, q, weight, steps),
            )
        )
    return cells


def baseline_cells(settings: Settings, task: Task) -> list[Cell]:
    cells = [
        baseline_cell(family, base, task.max_new_tokens)
        for family, bases in settings.baselines.items()
        for base in bases
        if not task.baselines or family in task.baselines
    ]
    for beams in task.beams:
        decoder = Decoder(Base(greedy=True), beams=beams)
        cells.append(Cell(f"beam-{beams}", "beam", decoder, setting=float(beams)))
    return cells


def baseline_cell(family: str, base: Base, steps: int) -> Cell:
    """A value of a family. steps: that a text may have."""
    if family == "greedy":
        return Cell("greedy", "greedy", Decoder(base))
    if isinstance(base.temperature, Annealing):
        mean = round(float(np.mean(values(base.temperature, steps))), 12)
        return Cell(f"{family}-{base.temperature.name}", family, Decoder(simplest(base)), setting=mean)
    value = float(getattr(base, family))
    return Cell(f"{family}-{value:.12g}", family, Decoder(base), setting=value)


def all_cells(settings: Settings, task: Task) -> list[Cell]:
    """Every cell of the task, names unique, in a stable order."""
    return [*baseline_cells(settings, task), *routing_cells(settings, task)]


def representatives(cells: list[Cell]) -> dict[Decoder, str]:
    """Distinct decoder → name of the first cell that asks for it."""
    first: dict[Decoder, str] = {}
    for cell in cells:
        first.setdefault(cell.decoder, cell.name)
    return first
