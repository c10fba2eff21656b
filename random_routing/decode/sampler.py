"""The law at work: gates, routes and base decoders for all members of a batch of rows at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.draws import Draws
from random_routing.decode.members import (
    GATE_LAMBDA,
    GATE_Q,
    LAMBDA_ROUTE,
    MODEL,
    Q_ROUTE,
    TOKEN_LAMBDA,
    TOKEN_MODEL,
    TOKEN_Q,
    Members,
    Trajectory,
    by_piece,
)
from random_routing.decode.mixture import Mixture
from random_routing.decode.walk import Walk
from random_routing.law.cells import Decoder, gate_rates
from random_routing.law.distribution import Distribution, distribution
from random_routing.law.gates import entropy_weights, weights
from random_routing.law.noise import PATHS, Source
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Base, Route


def _draw_once(law: Distribution, row: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Members of one row with one noise draw the same token: each is drawn once."""
    pairs, back = np.unique(np.stack([row, u], axis=1), axis=0, return_inverse=True)
    return law.draw(pairs[:, 0].astype(np.int64), pairs[:, 1])[back.reshape(-1)]


class Sampler:
    """Chooses tokens by the routing law and records them. One object serves one call of `decode`.

    decoders: distinct laws; decoder_of, noise_of: (members,) which law and which noise a member
    has; noise: (texts, 5, steps) float64 in [0, 1); sources: (texts,) whose noise that is and tables:
    δ of `unigram` routes, both needed only by laws that ask for them.
    """

    def __init__(
        self,
        decoders: Sequence[Decoder],
        decoder_of: np.ndarray,
        noise_of: np.ndarray,
        noise: np.ndarray,
        vocabulary: Vocabulary,
        device: str = "cpu",
        sources: Sequence[Source] = (),
        tables: dict[Route, np.ndarray] | None = None,
    ) -> None:
        self.decoder_of, self.noise_of, self.noise = decoder_of, noise_of, noise
        self.vocabulary, self.decoders = vocabulary, decoders
        self.draws = Draws(vocabulary, tables or {}, sources, device)
        self.stop = np.array(sorted(vocabulary.stop), dtype=np.int64)
        self.bases = list(dict.fromkeys(d.base for d in decoders))
        self.base_of = np.array([self.bases.index(d.base) for d in decoders])
        self.before = np.array([d.mix == "before" for d in decoders])
        self.scale = np.array([(d.q_gate.scale, d.lambda_gate.scale) for d in decoders])  # (D, 2)
        self.by_entropy = np.array(
            [[gate.kind == "entropy" for gate in (d.q_gate, d.lambda_gate)] for d in decoders]
        )
        self.routes: list[Route] = list(
            dict.fromkeys(route for d in decoders for route in (d.q_route, d.lambda_route))
        )
        self.route_of = np.array(
            [[self.routes.index(route) for route in (d.q_route, d.lambda_route)] for d in decoders]
        )
        shape = (len(decoder_of), noise.shape[2])
        self.weight = self._gates(shape)  # (members, 2, steps)
        self.tokens = np.zeros(shape, dtype=np.int32)
        self.taken = np.zeros(shape, dtype=np.int8)
        self.logprobs = np.zeros(shape, dtype=np.float32)
        self.model_logprobs = np.zeros(shape, dtype=np.float32)
        self.ranks = np.zeros(shape, dtype=np.int32)
        self.entropies = np.zeros(shape, dtype=np.float32)
        self.length = np.zeros(len(decoder_of), dtype=np.int64)
        self.ended = np.zeros(len(decoder_of), dtype=bool)

    @property
    def structural_routes(self) -> list[Route]:
        """Those that run the model along random paths."""
        return [route for route in self.routes if route.structural]

    def _gates(self, shape: tuple[int, int]) -> np.ndarray:
        """Weights of both gates at each step, (members, 2, steps), still without the entropies."""
        found = np.empty((shape[0], 2, shape[1]))
        for number, decoder in enumerate(self.decoders):
            members = np.flatnonzero(self.decoder_of == number)
            u = self.noise[self.noise_of[members]]  # (n, 5, steps)
            q, lam = gate_rates(decoder, shape[1])
            found[members, 0] = weights(decoder.q_gate, q, u[:, GATE_Q])
            found[members, 1] = weights(decoder.lambda_gate, lam, u[:, GATE_LAMBDA])
        return found

    def __call__(
        self, logits: Tensor, row: np.ndarray, members: np.ndarray, step: int, walk: Walk | None
    ) -> tuple[np.ndarray, np.ndarray]:
        some = self._members(logits, row, members, step)
        tokens = np.zeros(len(members), dtype=np.int64)
        self._along_paths(some, tokens, step, walk)
        mixed = np.flatnonzero(self.before[some.decoder])
        if len(mixed):
            mix = Mixture(self.draws, self.decoders, step, walk)
            tokens[mixed], some.taken[mixed] = mix.tokens(logits, some[mixed])
        for piece, here in by_piece(logits.shape, row):
            part = some[here]
            part = replace(part, row=part.row - piece.start)
            plain = distribution(logits[piece].float(), Base())
            self._by_scores(plain.logits, part, tokens, here)
            tokens[here], log_p = self._model_tokens(plain, part, tokens[here])
            self.logprobs[members[here], step] = log_p
            self.model_logprobs[members[here], step] = plain.log_probs(part.row, tokens[here])
            self.ranks[members[here], step] = plain.ranks(part.row, tokens[here])
            self.entropies[members[here], step] = plain.entropy()[part.row]
        ended = np.isin(tokens, self.stop)
        self.tokens[members, step] = tokens
        self.taken[members, step] = some.taken
        self.length[members] = step + 1
        self.ended[members] = ended
        return tokens, ended

    def _members(self, logits: Tensor, row: np.ndarray, members: np.ndarray, step: int) -> Members:
        decoder, source = self.decoder_of[members], self.noise_of[members]
        u = self.noise[source, :, step]  # (M, 5)
        weight = self.weight[members, :, step]  # (M, 2)
        asked = self.by_entropy[decoder]  # (M, 2)
        if asked.any():
            entropy = np.empty(len(logits))
            for piece, _ in by_piece(logits.shape, row):
                entropy[piece] = distribution(logits[piece].float(), Base()).entropy()
            share = entropy_weights(self.scale[decoder], entropy[row][:, None], self.vocabulary.size)
            weight = np.where(asked, weight * share, weight)
        taken = np.where(u[:, GATE_LAMBDA] < weight[:, 1], LAMBDA_ROUTE, MODEL)
        taken = np.where(u[:, GATE_Q] < weight[:, 0], Q_ROUTE, taken).astype(np.int8)
        return Members(row, decoder, source, u, weight, taken)

    def _routed(self, members: Members, structural: bool) -> Iterator[tuple[int, Route, np.ndarray]]:
        """Which route, 0 for q and 1 for λ, its δ, and the members that took it and mix after their base."""
        for which, route_number in enumerate((Q_ROUTE, LAMBDA_ROUTE)):
            took = (members.taken == route_number) & ~self.before[members.decoder]
            routes = self.route_of[members.decoder, which]
            for number in np.unique(routes[took]):
                if self.routes[number].structural == structural:
                    yield which, self.routes[number], np.flatnonzero(took & (routes == number))

    def _along_paths(self, members: Members, tokens: np.ndarray, step: int, walk: Walk | None) -> None:
        """Fill in the tokens of structural routes."""
        for which, route, pick in self._routed(members, structural=True):
            assert walk is not None
            u = members.u[pick, (TOKEN_Q, TOKEN_LAMBDA)[which]]
            pieces = self.draws.along_paths(
                route, PATHS[which], members.row[pick], members.source[pick], step, walk
            )
            for law, here, at in pieces:
                tokens[pick[here]] = law.draw(at, u[here])

    def _by_scores(self, scores: Tensor, members: Members, tokens: np.ndarray, place: np.ndarray) -> None:
        """Fill in the tokens of score-based routes; place: the members' indices into `tokens`."""
        for which, route, pick in self._routed(members, structural=False):
            u = members.u[pick, (TOKEN_Q, TOKEN_LAMBDA)[which]]
            tokens[place[pick]] = self.draws.by_scores(
                route, scores, members.row[pick], members.source[pick], u
            )

    def _model_tokens(
        self, plain: Distribution, members: Members, tokens: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The tokens with the model's choices filled in, and the log-probabilities under the bases."""
        tokens, log_p = tokens.copy(), np.empty(len(tokens), dtype=np.float32)
        base = self.base_of[members.decoder]
        for number in np.unique(base):
            of_base = np.flatnonzero(base == number)
            rows, local = np.unique(members.row[of_base], return_inverse=True)
            by_model = (members.taken[of_base] == MODEL) & ~self.before[members.decoder[of_base]]
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
            self.ranks[member, :end].copy(),
            self.entropies[member, :end].copy(),
            bool(self.ended[member]),
        )
