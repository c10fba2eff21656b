"""The law at work: what `decode` asks at every step, for all texts of a model call at once.

    P(x|y) = q·δ_q(x) + (1−q)·[ λ·δ_λ(x) + (1−λ)·p(x|y) ]

with p the model's distribution under the base decoder. Every text has seven random words a step
(`law.noise.PURPOSES`): gate_q and gate_λ open the gates, and one of token_q, token_λ and token_model
draws the token from δ_q, δ_λ or p. Only the distribution that makes the token is drawn from; p is by a race
of all tokens (`law.race`).

All happens on the model's device, in few large operations: a loop is over kinds of routes or over pieces of
the rows, never over texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.mix_before import Mixture
from random_routing.decode.model_call import Call, cut
from random_routing.decode.open_gates import Gated, Gates
from random_routing.decode.prompts import numbered
from random_routing.decode.route_tokens import Draws
from random_routing.decode.trajectory import Trajectories
from random_routing.law.base_decoders import Bases, Distribution, Plain, plain, under
from random_routing.law.cells import Decoder
from random_routing.law.noise import GATE, TOKEN, Source
from random_routing.law.origin import Origin
from random_routing.law.race import race
from random_routing.law.schedules import step_bases
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Base, Route

UNDRAWN = -1  # in place of a token
NOT_DRAWN = -1  # in place of the number of a δ


class Sampler:
    """Chooses tokens by the routing law and keeps them. One object serves one call of `decode`.

    decoders: distinct laws; decoder_of, source_of: (texts,) which law and whose noise a text has;
    noise: (sources, 7, steps) int64 words; sources: (sources,) whose noise that is, and tables:
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
        words = torch.from_numpy(noise)
        self.gates = Gates(decoders, decoder_of, source_of, words, device)
        self.draws = Draws(vocabulary, self.gates.noise, tables or {}, sources)
        self.mixture = Mixture(self.draws, decoders)
        self.made = Trajectories(len(decoder_of), noise.shape[2], vocabulary.stop, device)
        self.stop = torch.zeros(vocabulary.size, dtype=torch.bool, device=device)
        self.stop[[token for token in vocabulary.stop if token < vocabulary.size]] = True
        mixed = [d.mix == "before" for d in decoders]
        self.mixed, self.any_mixed = torch.tensor(mixed, device=device), any(mixed)  # (D,)
        asked, asked_of = numbered([d.base for d in decoders])
        bases, base_of = numbered([base for one in asked for base in step_bases(one, noise.shape[2])])
        base_of = base_of.reshape(len(asked), -1)[asked_of]
        self.bases, self.base_of = (
            Bases.of(bases, device),
            torch.from_numpy(base_of).to(device),
        )  # (D, steps)
        self.is_plain = torch.tensor([base == Base() for base in bases], device=device)
        routes, route_of = numbered([d.routes[origin] for d in decoders for origin in GATE])
        self.structural_routes = [route for route in routes if route.structural]
        self.drawn = [(origin, route) for origin in GATE for route in routes]  # every δ
        number = route_of.reshape(-1, len(GATE)) + [GATE[origin] * len(routes) for origin in GATE]
        number = np.insert(number, Origin.MODEL, NOT_DRAWN, axis=1)
        self.number_of = torch.from_numpy(number).to(device)  # (D, 3) in `drawn`, by origin

    def __call__(self, call: Call) -> tuple[Tensor, Tensor]:
        # 1. Open the gates: which of δ_q, δ_λ and p makes the token of each text.
        texts = self.gates.open(call)  # (M,)
        token = torch.full_like(call.text, UNDRAWN)  # (M,)
        # 2. Draw from mixtures, where the base comes after the routes; then from δ_q and δ_λ.
        if self.any_mixed:
            mixed = self.mixed[texts.decoder].nonzero()[:, 0]
            token[mixed], texts.origin[mixed] = self.mixture.tokens(call[mixed], texts[mixed])
        self._draw_routes(call, texts, token)
        for here, piece in call.pieces(texts.source):
            # 3. Draw what is left from p, under each text's base.
            p = plain(piece.logits)  # (B', V) the model's own
            base = self.base_of[texts.decoder[here], call.step]
            token[here], logprobs = self._draw_model(p, piece.row, base, texts[here], token[here])
            # 4. Record.
            self.made.record(piece, p, token[here], texts.origin[here], logprobs)
        return token, self.stop[token]

    def _draw_routes(self, call: Call, texts: Gated, token: Tensor) -> None:
        """Fill in the tokens that random routes make."""
        number = self.number_of[texts.decoder, texts.origin.long()]  # (M,)
        number, order = number.masked_fill(token != UNDRAWN, NOT_DRAWN).sort(stable=True)
        edges = torch.arange(len(self.drawn) + 1, device=number.device)
        spans = pairwise(torch.searchsorted(number, edges).tolist())
        for (origin, route), (start, stop) in zip(self.drawn, spans, strict=True):
            if start < stop:
                here = order[start:stop]
                source, word = texts.source[here], texts.word[here, TOKEN[origin]]
                drawn = self.draws.tokens(origin, route, call[here], source, word)
                # What the model forbids, as after an episode's end, is its own turn.
                forbidden = call.logits[call.row[here], drawn].isneginf()
                token[here] = drawn.masked_fill(forbidden, UNDRAWN)

    def _draw_model(
        self, p: Plain, row: Tensor, base: Tensor, texts: Gated, token: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The tokens with the model's filled in, and log p of all of them in nats, both under the bases: (M,)."""
        logprobs = torch.empty(len(token), device=token.device)
        for law, at, here in self._laws(p, row, base):
            missing = (token[here] == UNDRAWN).nonzero()[:, 0]
            seed = texts.word[here[missing], TOKEN[Origin.MODEL]]
            token[here[missing]] = race(law.weights, at[missing], seed)
            logprobs[here] = law.log_probs(at, token[here])
        return token, logprobs

    def _laws(self, p: Plain, row: Tensor, base: Tensor) -> Iterator[tuple[Distribution, Tensor, Tensor]]:
        """p itself, then p under the other bases, some at a time; which distribution each text has, and the texts."""
        itself = self.is_plain[base]
        here, others = itself.nonzero()[:, 0], (~itself).nonzero()[:, 0]
        if len(here):
            yield p, row[here], here
        if len(others):
            count, first = len(self.is_plain), 0
            pairs, at = (row[others] * count + base[others]).unique(return_inverse=True)
            pieces = cut(pairs, p.logits.shape[1])
            for some in pieces:
                law = under(p, some // count, self.bases[some % count])
                these: Tensor | slice = slice(None)
                if len(pieces) > 1:  # else a GPU's host would wait for the number of texts
                    these = ((first <= at) & (at < first + len(some))).nonzero()[:, 0]
                yield law, at[these] - first, others[these]
                first += len(some)
