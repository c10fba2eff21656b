"""The law at work: what `decode` asks at every step, for all texts of a model call at once.

    P(x|y) = q·δ_q(x) + (1−q)·[ λ·δ_λ(x) + (1−λ)·p(x|y) ]

with p the model's distribution under the base decoder. Every text has five numbers a step
(`law.noise.PURPOSES`): gate_q and gate_λ open the gates, and one of token_q, token_λ and token_model
draws the token from δ_q, δ_λ or p. Only the distribution that makes the token is drawn from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from random_routing.decode.mix_before import Mixture
from random_routing.decode.model_call import Call
from random_routing.decode.open_gates import Gated, Gates
from random_routing.decode.prompts import numbered
from random_routing.decode.route_tokens import Draws
from random_routing.decode.trajectory import Trajectories
from random_routing.law.base_decoders import Distribution, distribution
from random_routing.law.cells import Decoder
from random_routing.law.noise import GATE, TOKEN, Source
from random_routing.law.origin import Origin
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Base, Route

UNDRAWN = -1  # in place of a token


class Sampler:
    """Chooses tokens by the routing law and keeps them. One object serves one call of `decode`.

    decoders: distinct laws; decoder_of, source_of: (texts,) which law and whose noise a text has;
    noise: (sources, 5, steps) float64 in [0, 1); sources: (sources,) whose noise that is, and tables:
    δ of `unigram` routes, both needed only by laws that ask for them.
    """

    def __init__(
        self,
        decoders: Sequence[Decoder],
        decoder_of: np.ndarray,
        source_of: np.ndarray,
        noise: np.ndarray,
        vocabulary: Vocabulary,
        device: str = "cpu",
        sources: Sequence[Source] = (),
        tables: dict[Route, np.ndarray] | None = None,
    ) -> None:
        self.gates = Gates(decoders, decoder_of, source_of, noise)
        self.draws = Draws(vocabulary, tables or {}, sources, device)
        self.mixture = Mixture(self.draws, decoders)
        self.stop = np.array(sorted(vocabulary.stop), dtype=np.int64)
        self.made = Trajectories(len(decoder_of), noise.shape[2], vocabulary.stop)
        self.mixed = np.array([d.mix == "before" for d in decoders])  # (D,)
        self.bases, self.base_of = numbered([d.base for d in decoders])  # (D,)
        self.routes, number = numbered([d.routes[origin] for d in decoders for origin in GATE])
        self.route_of = number.reshape(-1, len(GATE))  # (D, 2)
        self.structural_routes = [route for route in self.routes if route.structural]

    def __call__(self, call: Call) -> tuple[np.ndarray, np.ndarray]:
        # 1. Open the gates: which of δ_q, δ_λ and p makes the token of each text.
        texts = self.gates.open(call)  # (M,)
        token = np.full(len(call.text), UNDRAWN)  # (M,)
        # 2. Draw from mixtures, where the base comes after the routes; then from δ_q and δ_λ.
        mixed = np.flatnonzero(self.mixed[texts.decoder])
        token[mixed], texts.origin[mixed] = self.mixture.tokens(call[mixed], texts[mixed])
        self._draw_routes(call, texts, token)
        for here, piece in call.pieces():
            # 3. Draw what is left from p, under each text's base.
            plain = distribution(piece.logits, Base())  # (B', V) the model's own
            token[here], logprobs = self._draw_model(plain, piece.row, texts[here], token[here])
            # 4. Record.
            self.made.record(piece, plain, token[here], texts.origin[here], logprobs)
        return token, np.isin(token, self.stop)

    def _draw_routes(self, call: Call, texts: Gated, token: np.ndarray) -> None:
        """Fill in the tokens that random routes make."""
        for origin in GATE:
            took = (texts.origin == origin) & (token == UNDRAWN)  # (M,)
            route = self.route_of[texts.decoder, GATE[origin]]
            for number in np.unique(route[took]):
                here = np.flatnonzero(took & (route == number))
                u, source = texts.u[here, TOKEN[origin]], texts.source[here]
                token[here] = self.draws.tokens(origin, self.routes[number], call[here], source, u)

    def _draw_model(
        self, plain: Distribution, row: np.ndarray, texts: Gated, token: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The tokens with the model's filled in, and log p of all of them in nats, both under the bases."""
        logprobs = np.empty(len(token), dtype=np.float32)
        u, base = texts.u[:, TOKEN[Origin.MODEL]], self.base_of[texts.decoder]
        for number in np.unique(base):
            here = np.flatnonzero(base == number)
            token[here], logprobs[here] = _under(self.bases[number], plain, row[here], token[here], u[here])
        return token, logprobs


def _under(
    base: Base, plain: Distribution, row: np.ndarray, token: np.ndarray, u: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """token with what is missing drawn by the numbers u from p under `base`, and log p of each: (M,) both."""
    missing = token == UNDRAWN
    rows, place = np.unique(row, return_inverse=True)
    if base.greedy:
        likeliest = plain.logits[torch.from_numpy(rows)].argmax(1).cpu().numpy()[place]
        token[missing] = likeliest[missing]
        return token, np.where(token == likeliest, 0.0, -np.inf)
    law, at = plain, row
    if base != Base():
        law, at = distribution(plain.logits[torch.from_numpy(rows)], base), place
    token[missing] = _draw_once(law, at[missing], u[missing])
    return token, law.log_probs(at, token)


def _draw_once(law: Distribution, row: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Texts of one row with one number take the same token: each is drawn once."""
    pairs, back = np.unique(np.stack([row, u], axis=1), axis=0, return_inverse=True)
    return law.draw(pairs[:, 0].astype(np.int64), pairs[:, 1])[back.reshape(-1)]
