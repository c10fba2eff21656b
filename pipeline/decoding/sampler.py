"""The law at work: gates, routes and base decoders for all members of a batch of rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.decoding.sampling import base_log_probs, inverse_cdf
from pipeline.routing.cells import Decoder
from pipeline.routing.vocabulary import Vocabulary
from pipeline.settings import Base, Route

MODEL, Q_ROUTE, LAMBDA_ROUTE = 0, 1, 2
GATE_Q, GATE_LAMBDA, TOKEN_MODEL, TOKEN_Q, TOKEN_LAMBDA = range(5)  # rows of noise.step_noise


@dataclass(frozen=True)
class Trajectory:
    """One text: token ids, route of each (0 model, 1 q-route, 2 λ-route) and log-probabilities in nats.

    logprobs: under the base decoder's p (−inf where p gives the token nothing); model_logprobs:
    under the model's own distribution. `ended`: a stop token (kept, as the last id) ended it.
    """

    token_ids: np.ndarray  # (T,) int32
    routes: np.ndarray  # (T,) int8
    logprobs: np.ndarray  # (T,) float32
    model_logprobs: np.ndarray  # (T,) float32
    ended: bool


class Sampler:
    """Chooses tokens by the routing law and records them. One object serves one call of `decode`.

    decoders: distinct laws; decoder_of, noise_of: (members,) which law and which noise a member
    has; noise: (texts, 5, steps) float64 in [0, 1).
    """

    def __init__(
        self,
        decoders: Sequence[Decoder],
        decoder_of: np.ndarray,
        noise_of: np.ndarray,
        noise: np.ndarray,
        vocabulary: Vocabulary,
    ) -> None:
        self.decoder_of, self.noise_of, self.noise = decoder_of, noise_of, noise
        self.vocabulary = vocabulary
        self.barred = torch.full((vocabulary.size,), -torch.inf)  # added to logits: 0 where allowed
        self.barred[torch.from_numpy(vocabulary.allowed)] = 0.0
        self.stop = np.array(sorted(vocabulary.stop), dtype=np.int64)
        self.q = np.array([d.q for d in decoders])
        self.lam = np.array([d.lam for d in decoders])
        self.bases = list(dict.fromkeys(d.base for d in decoders))
        self.base_of = np.array([self.bases.index(d.base) for d in decoders])
        self.routes: list[Route] = list(
            dict.fromkeys(route for d in decoders for route in (d.q_route, d.lambda_route))
        )
        self.q_route = np.array([self.routes.index(d.q_route) for d in decoders])
        self.lambda_route = np.array([self.routes.index(d.lambda_route) for d in decoders])
        shape = (len(decoder_of), noise.shape[2])
        self.tokens = np.zeros(shape, dtype=np.int32)
        self.taken = np.zeros(shape, dtype=np.int8)
        self.logprobs = np.zeros(shape, dtype=np.float32)
        self.model_logprobs = np.zeros(shape, dtype=np.float32)
        self.length = np.zeros(len(decoder_of), dtype=np.int64)
        self.ended = np.zeros(len(decoder_of), dtype=bool)

    def __call__(
        self, logits: Tensor, row: np.ndarray, members: np.ndarray, step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        decoder, noise = self.decoder_of[members], self.noise_of[members]
        u = self.noise[noise, :, step]  # (M, 5)
        taken = np.where(u[:, GATE_LAMBDA] < self.lam[decoder], LAMBDA_ROUTE, MODEL)
        taken = np.where(u[:, GATE_Q] < self.q[decoder], Q_ROUTE, taken).astype(np.int8)
        tokens = np.empty(len(members), dtype=np.int64)
        for number, route in enumerate(self.routes):
            for kind, of, purpose in (
                (Q_ROUTE, self.q_route, TOKEN_Q),
                (LAMBDA_ROUTE, self.lambda_route, TOKEN_LAMBDA),
            ):
                pick = np.flatnonzero((taken == kind) & (of[decoder] == number))
                if len(pick):
                    tokens[pick] = self._random_tokens(route, logits, row[pick], u[pick, purpose])
        self._model_tokens(logits, row, decoder, u[:, TOKEN_MODEL], taken, tokens, members, step)
        ended = np.isin(tokens, self.stop)
        self.tokens[members, step] = tokens
        self.taken[members, step] = taken
        self.length[members] = step + 1
        self.ended[members] = ended
        return tokens, ended

    def _random_tokens(self, route: Route, logits: Tensor, row: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Draws from δ. Uniform: over the sampling vocabulary; top_k: over its k likeliest tokens."""
        allowed = len(self.vocabulary.allowed)
        size = allowed if route.kind == "uniform" else min(route.k, allowed)
        index = np.minimum((u * size).astype(np.int64), size - 1)
        if route.kind == "uniform":
            return self.vocabulary.allowed[index]
        rows, which = np.unique(row, return_inverse=True)
        scores = logits[torch.from_numpy(rows)] + self.barred  # (R, V)
        likeliest = scores.topk(size, dim=1).indices  # (R, k), likeliest first
        return likeliest.numpy()[which, index]

    def _model_tokens(
        self,
        logits: Tensor,
        row: np.ndarray,
        decoder: np.ndarray,
        u: np.ndarray,
        taken: np.ndarray,
        tokens: np.ndarray,
        members: np.ndarray,
        step: int,
    ) -> None:
        """Fill in the tokens that the model chose, and the log-probabilities of all tokens."""
        plain = torch.log_softmax(logits, dim=-1)  # (B, V)
        base = self.base_of[decoder]
        for number in np.unique(base):
            of_base = np.flatnonzero(base == number)
            rows, which = np.unique(row[of_base], return_inverse=True)
            log_p = plain if self.bases[number] == Base() else None
            if log_p is None:
                log_p = base_log_probs(logits[torch.from_numpy(rows)], self.bases[number])  # (R, V)
                local = which
            else:
                local = row[of_base]
            by_model = np.flatnonzero(taken[of_base] == MODEL)
            # Members of one row with one noise draw the same token: draw each once.
            pairs = np.stack([local[by_model], u[of_base][by_model]], axis=1)
            unique, back = np.unique(pairs, axis=0, return_inverse=True)
            drawn = inverse_cdf(
                log_p[torch.from_numpy(unique[:, 0].astype(np.int64))], torch.from_numpy(unique[:, 1])
            )
            tokens[of_base[by_model]] = drawn.numpy()[back.reshape(-1)]
            at = (torch.from_numpy(local), torch.from_numpy(tokens[of_base]))
            self.logprobs[members[of_base], step] = log_p[at].numpy()
        at = (torch.from_numpy(row), torch.from_numpy(tokens))
        self.model_logprobs[members, step] = plain[at].numpy()

    def trajectory(self, member: int) -> Trajectory:
        end = int(self.length[member])
        return Trajectory(
            self.tokens[member, :end].copy(),
            self.taken[member, :end].copy(),
            self.logprobs[member, :end].copy(),
            self.model_logprobs[member, :end].copy(),
            bool(self.ended[member]),
        )
