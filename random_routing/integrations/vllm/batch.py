"""The law for a batch of requests, each with settings and a step of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from random_routing.integrations.vllm.settings import Routing
from random_routing.law.cells import step_rates
from random_routing.law.gates import entropy_weights, weights
from random_routing.law.mixing import shares
from random_routing.law.noise import FROZEN, GATE, PURPOSES, Source
from random_routing.law.origin import Origin
from random_routing.law.probabilities import entropy, probabilities
from random_routing.law.routes import delta, frozen, open_delta
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Base, Route, Schedule

AT_ONCE = 2**24  # entries of the logits that are worked on together: a few copies of them are made
INDEPENDENT = ("token", "entropy")  # gates that need no number: the mixture has their probability


@dataclass(frozen=True)
class Request:
    """A request with random routes. steps: tokens that it may have; seed: of its gates and frozen routes."""

    routing: Routing
    vocabulary: Vocabulary
    steps: int
    seed: int
    tables: dict[Route, np.ndarray] = field(default_factory=dict)  # frozen δ so far

    @property
    def source(self) -> Source:
        return Source(self.seed, "request", "", 0)

    @cached_property
    def rates(self) -> np.ndarray:
        """q and λ of each step, (2, steps or 1) float64: rate and schedule, and 0 or 1 where a gate draws a number.

        An entropy gate's share is not yet in them.
        """
        decoder = self.routing.decoder
        constant = decoder.q_schedule == decoder.lambda_schedule == Schedule()
        spans = "span" in (gate.kind for gate in decoder.gates.values())
        steps = 1 if constant and not spans else self.steps  # the last one holds for all that follow
        rates = np.empty((2, steps))
        for origin, rate in step_rates(decoder, decoder.q, decoder.lam, steps).items():
            gate, place = decoder.gates[origin], GATE[origin]
            if gate.kind not in INDEPENDENT:
                u = self.source.uniforms(PURPOSES[place], steps)
                rate = weights(gate, rate, u[None])[0]
            rates[place] = rate
        return rates

    def rate(self, step: int) -> np.ndarray:
        """q and λ at a step, (2,). A step out of range is of a row that no token is drawn from."""
        return self.rates[:, min(max(step, 0), self.rates.shape[1] - 1)]

    def table(self, route: Route) -> np.ndarray:
        if route not in self.tables:
            u = self.source.uniforms(FROZEN, len(self.vocabulary.allowed))
            self.tables[route] = frozen(u, route.concentration, self.vocabulary)
        return self.tables[route]


def apply_law(logits: Tensor, rows: Mapping[int, tuple[Request, int]]) -> None:
    """Put log P into some rows of logits (B, V) float32; the others stay as they are.

    rows: row → its request, and the step that its next token is. A row without any distribution (NaN, or −∞
    throughout) stays too: what to do about it is for whoever samples.
    """
    groups: dict[tuple[Routing, int], list[int]] = defaultdict(list)
    for row, (request, _) in rows.items():
        groups[request.routing, id(request.vocabulary)].append(row)
    for members in groups.values():
        for some in torch.tensor(members).split(max(1, AT_ONCE // logits.shape[1])):
            scores = logits[some.to(logits.device)]
            fine = scores.amax(1).isfinite()
            here = some[fine.cpu()]
            if len(here):
                made = _law(scores[fine], [rows[row] for row in here.tolist()])
                logits[here.to(logits.device)] = made.log()


def _law(scores: Tensor, requests: Sequence[tuple[Request, int]]) -> Tensor:
    """P of rows whose requests share settings and vocabulary: (B, V) from scores (B, V)."""
    routing = requests[0][0].routing
    before = routing.mix == "before"
    p = probabilities(scores, Base() if before else routing.base)  # (B, V)
    if not routing.q and not routing.lam:
        return probabilities(scores, routing.base) if before else p
    rate = torch.from_numpy(np.stack([request.rate(step) for request, step in requests])).to(scores.device)
    if "entropy" in (routing.q_gate.kind, routing.lambda_gate.kind):
        uncertainty = entropy(scores)  # (B,)
        for origin, gate in routing.decoder.gates.items():
            if gate.kind == "entropy":
                rate[:, GATE[origin]] *= entropy_weights(gate.scale, uncertainty, scores.shape[1])
    q, lam = rate.to(p).split(1, dim=1)  # (B, 1)
    delta_q, delta_lambda = (_delta(origin, scores, p, requests) for origin in (Origin.Q, Origin.LAMBDA))
    model, of_lambda, of_q = shares(p, delta_q, delta_lambda, q, lam)
    law = model + of_lambda + of_q  # (B, V)
    return probabilities(law.log(), routing.base) if before else law


def _delta(origin: Origin, scores: Tensor, p: Tensor, requests: Sequence[tuple[Request, int]]) -> Tensor:
    """δ of a route over what is not forbidden, (B, V); p itself where the route is never taken."""
    first = requests[0][0]
    route = first.routing.decoder.routes[origin]
    if not first.routing.decoder.rates[origin]:
        return p
    table = np.stack([one.table(route) for one, _ in requests]) if route.kind == "frozen" else None
    return open_delta(delta(route, scores, first.vocabulary, table), scores, p)
