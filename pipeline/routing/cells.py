"""Cells (what a person asked for) and decoders (what has to be run).

Two cells with the same law, such as (q, λ) and (λ, q) with equal routes, share one decoder; it is
run once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pipeline.routing.law import effective_rate, exploration_weight
from pipeline.settings import Base, Route, Settings, Task, Variant

NO_ROUTE = Route("none")


@dataclass(frozen=True)
class Decoder:
    """One distinct law. `q`, `lam`: probabilities of the two random routes; `beams` > 0: beam search."""

    base: Base
    q: float = 0.0
    lam: float = 0.0
    q_route: Route = NO_ROUTE
    lambda_route: Route = NO_ROUTE
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

    With equal routes and per-step gates P depends on r alone (one gate decides, routes say 1); a
    route that is never taken does not count.
    """
    if q == 1:
        weight = 0.0  # the λ-law is never reached
    if variant.q_route == variant.lambda_route:
        q, weight = effective_rate(q, weight), 0.0
    return Decoder(
        base=variant.base,
        q=q,
        lam=weight,
        q_route=variant.q_route if q else NO_ROUTE,
        lambda_route=variant.lambda_route if weight else NO_ROUTE,
    )


def routing_cells(settings: Settings) -> list[Cell]:
    cells = []
    for name, variant in settings.variants.items():
        for q in settings.q:
            for lam in settings.lambdas:
                weight = exploration_weight(lam, settings.lambda_means)
                cells.append(
                    Cell(
                        name=f"routing-{name}-q{q:.12g}-l{lam:.12g}",
                        family="routing",
                        decoder=distinct_decoder(variant, q, weight),
                        variant=name,
                        q=q,
                        lam=lam,
                        r=effective_rate(q, weight),
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
    return [*baseline_cells(settings, task), *routing_cells(settings)]


def representatives(cells: list[Cell]) -> dict[Decoder, str]:
    """Distinct decoder → name of the first cell that asks for it."""
    first: dict[Decoder, str] = {}
    for cell in cells:
        first.setdefault(cell.decoder, cell.name)
    return first
