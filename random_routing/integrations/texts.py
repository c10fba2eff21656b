"""What the processor knows of the texts in a batch: how far they are, and which of their gates are open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from random_routing.law.gates import weights
from random_routing.law.noise import GATE, PURPOSES, Source
from random_routing.law.origin import Origin
from random_routing.law.schedules import values
from random_routing.settings import Gate, Route, Schedule

FIRST = 64  # steps of which the gates are drawn at first; then twice as many


class Steps:
    """Counts the steps of a batch of texts: `generate` hands over their ids and says nothing else.

    A call whose ids are those of the call before and one more is its next step. Any other begins new texts.
    """

    def __init__(self) -> None:
        self.ids: Tensor | None = None
        self.step = 0

    def of(self, ids: Tensor) -> int:
        """The step of a call: 0 for the first token. ids: (B, length) int64.

        Raises ValueError for rows that have changed places, as those of beam search do.
        """
        before, self.ids = self.ids, ids
        if before is None or ids.shape != (len(before), before.shape[1] + 1):
            self.step = 0
        elif torch.equal(ids[:, :-1], before):
            self.step += 1
        elif {*map(tuple, ids[:, :-1].tolist())} <= {*map(tuple, before.tolist())}:
            raise ValueError(
                "rows have changed places: gates that last and schedules need num_beams=1, one text for a row"
            )
        else:
            self.step = 0
        return self.step


@dataclass(frozen=True)
class RouteLaw:
    """A route, its rate, and when it is taken."""

    origin: Origin
    rate: float
    route: Route
    gate: Gate
    schedule: Schedule

    @classmethod
    def laid_out(
        cls, origin: Origin, rate: float, route: Route, gate: Gate, schedule: Schedule, steps: int | None
    ) -> RouteLaw:
        """Over texts of `steps` tokens: a schedule with its length, a plain gate where all steps or none are open."""
        if not rate:
            return cls(origin, rate, route, Gate(), Schedule())
        if schedule == Schedule():
            return cls(origin, rate, route, Gate() if gate.kind == "span" and rate == 1 else gate, schedule)
        length = schedule.length or max(1, (steps or 1) - 1)
        return cls(origin, rate, route, gate, replace(schedule, length=length))

    @property
    def lasts(self) -> bool:
        """Is its gate drawn for several steps at once?"""
        return self.gate.kind in ("span", "sequence")

    def rates(self, steps: int) -> np.ndarray:
        """The rate of each step: (steps,) float64."""
        return self.rate * values(self.schedule, steps)


class Gates:
    """The weight of a route at each step: its rate then, or 1 and 0 where the gate of each row was drawn."""

    def __init__(self, law: RouteLaw, source_of: Callable[[int], Source]) -> None:
        """source_of: whose noise a row has."""
        self.law, self.source_of = law, source_of
        self.drawn = np.empty((0, FIRST))  # (rows, steps) 1 where the gate is open

    def weight(self, step: int, rows: int) -> float | np.ndarray:
        """A float for all rows, or (rows,) float64 of 0 and 1.

        Neither the other rows nor how many steps are drawn ahead changes a row's gates.
        """
        steps = self.drawn.shape[1]
        while steps <= step:
            steps *= 2
        rates = self.law.rates(steps)
        if not self.law.lasts:
            return float(rates[step])
        if self.drawn.shape[0] < rows or self.drawn.shape[1] < steps:
            purpose = PURPOSES[GATE[self.law.origin]]
            u = np.stack([self.source_of(row).uniforms(purpose, steps) for row in range(rows)])
            self.drawn = weights(self.law.gate, rates, u)
        return self.drawn[:rows, step]
