"""The law at work: gates, routes and base decoders for all members of a batch of rows at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.decoding.sampling import Distribution, distribution
from pipeline.routing.cells import Decoder
from pipeline.routing.vocabulary import Vocabulary
from pipeline.settings import Base, Route

MODEL, Q_ROUTE, LAMBDA_ROUTE = 0, 1, 2
PIECE = 2**21  # logits looked at together
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


@dataclass(frozen=True)
class Members:
    """Some members at one step: row of the logits, decoder, noise (M, 5) and route of each."""

    row: np.ndarray
    decoder: np.ndarray
    u: np.ndarray
    taken: np.ndarray


def by_piece(shape: tuple[int, ...], row: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Cut the rows of logits, (B, V), into pieces that stay in the processor's cache.

    Yields the slice of rows and the indices of the members, row (M,), that are in it.
    """
    size = max(1, PIECE // shape[1])
    order = np.argsort(row, kind="stable")
    edges = np.arange(0, shape[0] + size, size)
    first = np.searchsorted(row[order], edges)  # where each piece's members begin
    for i, start in enumerate(edges[:-1].tolist()):
        if len(here := order[first[i] : first[i + 1]]):
            yield slice(start, min(start + size, shape[0])), here


def _draw_once(law: Distribution, row: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Members of one row with one noise draw the same token: each is drawn once."""
    pairs, back = np.unique(np.stack([row, u], axis=1), axis=0, return_inverse=True)
    return law.draw(pairs[:, 0].astype(np.int64), pairs[:, 1])[back.reshape(-1)]


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
        device: str = "cpu",
    ) -> None:
        self.decoder_of, self.noise_of, self.noise = decoder_of, noise_of, noise
        self.vocabulary = vocabulary
        self.barred = torch.full((vocabulary.size,), -torch.inf)  # added to logits: 0 where allowed
        self.barred[torch.from_numpy(vocabulary.allowed)] = 0.0
        self.barred = self.barred.to(device)
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
        decoder = self.decoder_of[members]
        u = self.noise[self.noise_of[members], :, step]  # (M, 5)
        taken = np.where(u[:, GATE_LAMBDA] < self.lam[decoder], LAMBDA_ROUTE, MODEL)
        taken = np.where(u[:, GATE_Q] < self.q[decoder], Q_ROUTE, taken).astype(np.int8)
        tokens = np.empty(len(members), dtype=np.int64)
        log_p, plain_log_p = np.empty(len(members), np.float32), np.empty(len(members), np.float32)
        for piece, here in by_piece(logits.shape, row):
            some = Members(row[here] - piece.start, decoder[here], u[here], taken[here])
            plain = distribution(logits[piece].float(), Base())
            drawn = self._random_tokens(plain.logits, some)
            tokens[here], log_p[here] = self._model_tokens(plain, some, drawn)
            plain_log_p[here] = plain.log_probs(some.row, tokens[here])
        ended = np.isin(tokens, self.stop)
        self.tokens[members, step] = tokens
        self.taken[members, step] = taken
        self.logprobs[members, step] = log_p
        self.model_logprobs[members, step] = plain_log_p
        self.length[members] = step + 1
        self.ended[members] = ended
        return tokens, ended

    def _random_tokens(self, scores: Tensor, members: Members) -> np.ndarray:
        """Draws from δ for the members that took a random route, 0 for the others.

        Uniform: over the sampling vocabulary; top_k: over its k likeliest tokens.
        """
        tokens = np.zeros(len(members.row), dtype=np.int64)
        allowed = self.vocabulary.allowed
        for kind, of, purpose in (
            (Q_ROUTE, self.q_route, TOKEN_Q),
            (LAMBDA_ROUTE, self.lambda_route, TOKEN_LAMBDA),
        ):
            for number in np.unique(of[members.decoder[members.taken == kind]]):
                pick = np.flatnonzero((members.taken == kind) & (of[members.decoder] == number))
                route = self.routes[number]
                size = len(allowed) if route.kind == "uniform" else min(route.k, len(allowed))
                index = np.minimum((members.u[pick, purpose] * size).astype(np.int64), size - 1)
                if route.kind == "uniform":
                    tokens[pick] = allowed[index]
                    continue
                rows, which = np.unique(members.row[pick], return_inverse=True)
                ranked = (scores[torch.from_numpy(rows)] + self.barred).topk(size, dim=1)  # (R, k)
                tokens[pick] = ranked.indices.cpu().numpy()[which, index]
        return tokens

    def _model_tokens(
        self, plain: Distribution, members: Members, tokens: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The tokens with the model's choices filled in, and the log-probabilities under the bases."""
        tokens, log_p = tokens.copy(), np.empty(len(tokens), dtype=np.float32)
        base = self.base_of[members.decoder]
        for number in np.unique(base):
            of_base = np.flatnonzero(base == number)
            rows, local = np.unique(members.row[of_base], return_inverse=True)
            by_model = members.taken[of_base] == MODEL
            u = members.u[of_base, TOKEN_MODEL]
            chosen = tokens[of_base]
            if self.bases[number].greedy:
                likeliest = plain.logits[torch.from_numpy(rows)].argmax(1).cpu().numpy()[local]
                chosen[by_model] = likeliest[by_model]
                log_p[of_base] = np.where(chosen == likeliest, 0.0, -np.inf)
            else:
                law, at = plain, members.row[of_base]
                if self.bases[number] != Base():
                    law, at = distribution(plain.logits[torch.from_numpy(rows)], self.bases[number]), local
                chosen[by_model] = _draw_once(law, at[by_model], u[by_model])
                log_p[of_base] = law.log_probs(at, chosen)
            tokens[of_base] = chosen
        return tokens, log_p

    def trajectory(self, member: int) -> Trajectory:
        end = int(self.length[member])
        return Trajectory(
            self.tokens[member, :end].copy(),
            self.taken[member, :end].copy(),
            self.logprobs[member, :end].copy(),
            self.model_logprobs[member, :end].copy(),
            bool(self.ended[member]),
        )
