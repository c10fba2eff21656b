"""Mixing before the base decoder: its temperature and truncation act on the mixture (`mix: before`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.draws import Draws
from random_routing.decode.members import (
    GATE_LAMBDA,
    GATE_Q,
    LAMBDA_ROUTE,
    MODEL,
    PIECE,
    Q_ROUTE,
    TOKEN_MODEL,
    Members,
)
from random_routing.decode.walk import Walk
from random_routing.law.cells import Decoder
from random_routing.law.distribution import distribution
from random_routing.law.noise import PATHS
from random_routing.settings import Base, Route


class Mixture:
    """Tokens from base(w_q·δ_q + (1−w_q)·[w_λ·δ_λ + (1−w_λ)·p]), w the weights of the gates."""

    def __init__(self, draws: Draws, decoders: Sequence[Decoder], step: int, walk: Walk | None) -> None:
        self.draws, self.decoders, self.step, self.walk = draws, decoders, step, walk

    def tokens(self, logits: Tensor, members: Members) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (M,) int64 and their routes (M,) int8. logits: (B, V), to which `members.row` points."""
        tokens, taken = np.empty(len(members), np.int64), np.empty(len(members), np.int8)
        size = max(1, PIECE // logits.shape[1])
        for number in np.unique(members.decoder):
            own = np.flatnonzero(members.decoder == number)
            for start in range(0, len(own), size):
                here = own[start : start + size]
                tokens[here], taken[here] = self._piece(logits, members[here], self.decoders[number])
        return tokens, taken

    def _piece(self, logits: Tensor, members: Members, decoder: Decoder) -> tuple[np.ndarray, np.ndarray]:
        model, lam, q = self._shares(logits, members, decoder)
        tokens = _draw((model + lam + q).log(), decoder.base, members.u[:, TOKEN_MODEL])
        # Each route made the token with the share that it has in it; the gates' numbers say which did.
        at = (torch.arange(len(members)), torch.from_numpy(tokens))
        by_model, by_lambda, by_q = (x[at].cpu().numpy().astype(np.float64) for x in (model, lam, q))
        is_lambda = members.u[:, GATE_LAMBDA] * (by_model + by_lambda) < by_lambda
        is_q = members.u[:, GATE_Q] * (by_model + by_lambda + by_q) < by_q
        return tokens, np.where(is_q, Q_ROUTE, np.where(is_lambda, LAMBDA_ROUTE, MODEL)).astype(np.int8)

    def _shares(self, logits: Tensor, members: Members, decoder: Decoder) -> tuple[Tensor, Tensor, Tensor]:
        """Shares of model, λ-route and q-route in the mixture, each (M, V); they sum to 1."""
        own = torch.softmax(logits[torch.from_numpy(members.row)].float(), dim=1)
        w_q, w_lambda = (torch.from_numpy(members.weight[:, i, None]).to(own) for i in (0, 1))
        delta_q = self._delta(logits, members, decoder.q_route, 0)
        delta_lambda = self._delta(logits, members, decoder.lambda_route, 1)
        return (1 - w_q) * (1 - w_lambda) * own, (1 - w_q) * w_lambda * delta_lambda, w_q * delta_q

    def _delta(self, logits: Tensor, members: Members, route: Route, which: int) -> Tensor:
        """δ of the q-route (0) or the λ-route (1), (M, V); zeros where no member's gate has weight."""
        if not (members.weight[:, which] > 0).any():
            return torch.zeros(len(members), logits.shape[1], device=logits.device)
        return self.draws.mass(
            route, PATHS[which], logits, members.row, members.source, self.step, self.walk
        )


def _draw(scores: Tensor, base: Base, u: np.ndarray) -> np.ndarray:
    """A token of each row of log-probabilities (M, V) under a base."""
    if base.greedy:
        return scores.argmax(1).cpu().numpy()
    return distribution(scores, base).draw(np.arange(len(u)), u)
