"""Mixing before the base decoder: its temperature and truncation act on the mixture (`mix: before`)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from random_routing.decode.model_call import Call, cut
from random_routing.decode.open_gates import Gated
from random_routing.decode.route_tokens import Draws
from random_routing.law.base_decoders import distribution
from random_routing.law.cells import Decoder
from random_routing.law.mixing import shares
from random_routing.law.noise import GATE, TOKEN, uniform
from random_routing.law.origin import Origin, origins
from random_routing.law.race import race
from random_routing.law.routes import permitted
from random_routing.law.schedules import step_bases


class Mixture:
    """Tokens from base(q·δ_q + (1−q)·[λ·δ_λ + (1−λ)·p]), with q and λ of each text at this step."""

    def __init__(self, draws: Draws, decoders: Sequence[Decoder]) -> None:
        self.draws, self.decoders = draws, decoders
        self.bases = [step_bases(decoder.base, draws.noise.shape[2]) for decoder in decoders]

    def tokens(self, call: Call, texts: Gated) -> tuple[Tensor, Tensor]:
        """Tokens (M,) int64 of the call's texts, and their origins (M,) int8."""
        token, origin = torch.empty_like(call.text), torch.empty_like(texts.origin)
        for number in texts.decoder.unique().tolist():
            of_decoder = (texts.decoder == number).nonzero()[:, 0]
            for here in cut(of_decoder, call.logits.shape[1]):
                token[here], origin[here] = self._piece(call[here], texts[here], number)
        return token, origin

    def _piece(self, call: Call, texts: Gated, number: int) -> tuple[Tensor, Tensor]:
        decoder, base = self.decoders[number], self.bases[number][call.step]
        scores = call.scores()
        p = torch.softmax(scores, dim=1)  # (M, V)
        q, lam = texts.rate.to(p).split(1, dim=1)  # (M, 1)
        delta_q, delta_lambda = (
            permitted(self._delta(o, call, texts, decoder), scores, p) for o in GATE
        )  # (M, V)
        parts = shares(p, delta_q, delta_lambda, q, lam)
        model, of_lambda, of_q = parts
        law = distribution((model + of_lambda + of_q).log(), base)
        every = torch.arange(len(call.row), device=call.row.device)
        token = race(law.weights, every, texts.word[:, TOKEN[Origin.MODEL]])
        # Each part made the token with the share that it has in it; the gates' numbers say which did.
        by_model, by_lambda, by_q = (part[every, token].double() for part in parts)
        u_q, u_lambda = (uniform(texts.word[:, GATE[o]]) for o in (Origin.Q, Origin.LAMBDA))
        q_open = u_q * (by_model + by_lambda + by_q) < by_q
        lambda_open = u_lambda * (by_model + by_lambda) < by_lambda
        return token, origins(q_open, lambda_open)

    def _delta(self, origin: Origin, call: Call, texts: Gated, decoder: Decoder) -> Tensor:
        """δ, (M, V); zeros where it has no weight in any text."""
        if not (texts.rate[:, GATE[origin]] > 0).any():
            return torch.zeros(len(call.row), call.logits.shape[1], device=call.logits.device)
        return self.draws.mass(origin, decoder.routes[origin], call, texts.source)
