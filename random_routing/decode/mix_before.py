"""Mixing before the base decoder: its temperature and truncation act on the mixture (`mix: before`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.model_call import Call, cut
from random_routing.decode.open_gates import Gated
from random_routing.decode.route_tokens import Draws
from random_routing.law.base_decoders import distribution
from random_routing.law.cells import Decoder
from random_routing.law.mixing import shares
from random_routing.law.noise import GATE, TOKEN
from random_routing.law.origin import Origin, origins
from random_routing.settings import Base


class Mixture:
    """Tokens from base(q·δ_q + (1−q)·[λ·δ_λ + (1−λ)·p]), with q and λ of each text at this step."""

    def __init__(self, draws: Draws, decoders: Sequence[Decoder]) -> None:
        self.draws, self.decoders = draws, decoders

    def tokens(self, call: Call, texts: Gated) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (M,) int64 of the call's texts, and their origins (M,) int8."""
        token, origin = np.empty(len(call.row), np.int64), np.empty(len(call.row), np.int8)
        for number in np.unique(texts.decoder):
            of_decoder = np.flatnonzero(texts.decoder == number)
            for here in cut(of_decoder, call.logits.shape[1]):
                token[here], origin[here] = self._piece(call[here], texts[here], self.decoders[number])
        return token, origin

    def _piece(self, call: Call, texts: Gated, decoder: Decoder) -> tuple[np.ndarray, np.ndarray]:
        p = torch.softmax(call.scores(), dim=1)  # (M, V)
        q, lam = (torch.from_numpy(rate[:, None]).to(p) for rate in texts.rate.T)  # (M, 1)
        delta_q, delta_lambda = (self._delta(o, call, texts, decoder) for o in GATE)  # (M, V)
        parts = shares(p, delta_q, delta_lambda, q, lam)
        model, of_lambda, of_q = parts
        token = _draw((model + of_lambda + of_q).log(), decoder.base, texts.u[:, TOKEN[Origin.MODEL]])
        # Each part made the token with the share that it has in it; the gates' numbers say which did.
        at = (torch.arange(len(token)), torch.from_numpy(token))
        by_model, by_lambda, by_q = (part[at].cpu().numpy().astype(np.float64) for part in parts)
        q_open = texts.u[:, GATE[Origin.Q]] * (by_model + by_lambda + by_q) < by_q
        lambda_open = texts.u[:, GATE[Origin.LAMBDA]] * (by_model + by_lambda) < by_lambda
        return token, origins(q_open, lambda_open)

    def _delta(self, origin: Origin, call: Call, texts: Gated, decoder: Decoder) -> Tensor:
        """δ, (M, V); zeros where it has no weight in any text."""
        if not (texts.rate[:, GATE[origin]] > 0).any():
            return torch.zeros(len(call.row), call.logits.shape[1], device=call.logits.device)
        return self.draws.mass(origin, decoder.routes[origin], call, texts.source)


def _draw(scores: Tensor, base: Base, u: np.ndarray) -> np.ndarray:
    """A token of each row of log-probabilities (M, V) under a base."""
    if base.greedy:
        return scores.argmax(1).cpu().numpy()
    return distribution(scores, base).draw(np.arange(len(u)), u)
