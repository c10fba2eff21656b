"""The law of a single choice in closed form: what a decoder's first token is, as a distribution over few choices."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from random_routing.law.cells import Decoder, gate_rates
from random_routing.law.gates import entropy_weights
from random_routing.law.mixing import shares
from random_routing.law.origin import Origin
from random_routing.law.probabilities import entropy, probabilities
from random_routing.law.routes import delta
from random_routing.law.schedules import step_bases
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Route

BOTH = (Origin.Q, Origin.LAMBDA)


def choice_law(
    logits: Tensor,
    decoder: Decoder,
    steps: int,
    width: int,
    tables: dict[Route, np.ndarray] | None = None,
) -> Tensor | None:
    """P of the first of `steps` tokens: (E, K) float64, rows sum to 1; None where δ is the model along a random path,
    or a random distribution that is truncated, neither of which has a closed form.

    logits: (E, K) of the choices, float32; width: of the model's logits, by which entropy gates measure; tables: δ (K,)
    of `unigram` routes. A `frozen` δ is uniform on average over texts.
    """
    routes = [route for origin, route in decoder.routes.items() if decoder.rates[origin]]
    drawn = any(route.kind == "frozen" for route in routes)
    if any(route.structural for route in routes) or (drawn and decoder.mix == "before"):
        return None
    base = step_bases(decoder.base, steps)[0]
    before = decoder.mix == "before"
    p = (torch.softmax(logits, dim=1) if before else probabilities(logits, base)).double()
    delta_q, delta_lambda = (_delta(logits, decoder.routes[origin], tables or {}) for origin in BOTH)
    law = torch.zeros_like(p)
    states = (_states(logits, decoder, origin, steps, width) for origin in BOTH)
    for (of_q, q), (of_lambda, lam) in product(*states):
        parts = shares(p, delta_q, delta_lambda, q, lam)
        mixture = parts[0] + parts[1] + parts[2]
        law += of_q * of_lambda * (probabilities(mixture.log(), base) if before else mixture)
    return law


def _states(
    logits: Tensor, decoder: Decoder, origin: Origin, steps: int, width: int
) -> list[tuple[Tensor, Tensor]]:
    """What a gate's weight may be at the first token, after its probability: (E, 1) float64 both."""
    one = torch.ones(len(logits), 1, dtype=torch.float64)
    rate = one * float(gate_rates(decoder, steps)[origin][0])
    gate = decoder.gates[origin]
    if gate.kind in ("span", "sequence"):
        return [(rate, one), (1 - rate, 0 * one)]
    if gate.kind == "entropy":
        rate = rate * entropy_weights(gate.scale, entropy(logits)[:, None], width)
    return [(one, rate)]


def _delta(logits: Tensor, route: Route, tables: dict[Route, np.ndarray]) -> Tensor:
    """δ, (E, K) float64; zeros where there is no route."""
    if route.kind == "none":
        return torch.zeros_like(logits).double()
    choices = Vocabulary(logits.shape[1], np.arange(logits.shape[1]), frozenset())
    mean = Route("uniform") if route.kind == "frozen" else route
    return delta(mean, logits, choices, tables.get(route)).double()
