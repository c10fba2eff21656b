"""Which texts take a random route at a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from random_routing.decode.model_call import Call
from random_routing.law.base_decoders import distribution
from random_routing.law.cells import Decoder, gate_rates
from random_routing.law.gates import entropy_weights, weights
from random_routing.law.noise import GATE
from random_routing.law.origin import Origin, origins
from random_routing.settings import Base


@dataclass(frozen=True)
class Gated:
    """Some texts at one step: decoder and source of each, its numbers, q and λ, and the origin that they decide."""

    decoder: np.ndarray  # (M,)
    source: np.ndarray  # (M,)
    u: np.ndarray  # (M, 5) in the order of `noise.PURPOSES`
    rate: np.ndarray  # (M, 2) q and λ: the gates' weights at this step
    origin: np.ndarray  # (M,)

    def __getitem__(self, pick: np.ndarray) -> Gated:
        return Gated(*(getattr(self, field.name)[pick] for field in fields(self)))


class Gates:
    """The gates of every text. decoder_of, source_of: (texts,); noise: (sources, 5, steps)."""

    def __init__(
        self, decoders: Sequence[Decoder], decoder_of: np.ndarray, source_of: np.ndarray, noise: np.ndarray
    ) -> None:
        self.decoder_of, self.source_of, self.noise = decoder_of, source_of, noise
        gates = [[d.gates[origin] for origin in GATE] for d in decoders]
        self.by_entropy = np.array([[gate.kind == "entropy" for gate in both] for both in gates])  # (D, 2)
        self.scale = np.array([[gate.scale for gate in both] for both in gates])  # (D, 2)
        steps = noise.shape[2]
        self.rate = np.empty((len(decoder_of), 2, steps))  # of entropy gates without the entropies
        for number, decoder in enumerate(decoders):
            texts = np.flatnonzero(decoder_of == number)
            u = noise[source_of[texts]]  # (n, 5, steps)
            for origin, rates in gate_rates(decoder, steps).items():
                self.rate[texts, GATE[origin]] = weights(decoder.gates[origin], rates, u[:, GATE[origin]])

    def open(self, call: Call) -> Gated:
        """The call's texts: gate_q's number below q opens the q-gate, gate_λ's below λ the λ-gate."""
        decoder, source = self.decoder_of[call.text], self.source_of[call.text]
        u = self.noise[source, :, call.step]  # (M, 5)
        rate = self.rate[call.text, :, call.step]  # (M, 2)
        by_entropy = self.by_entropy[decoder]
        if by_entropy.any():
            entropy = np.empty((len(decoder), 1))
            for here, piece in call.pieces():
                entropy[here, 0] = distribution(piece.logits, Base()).entropy()[piece.row]
            share = entropy_weights(self.scale[decoder], entropy, call.logits.shape[1])
            rate = np.where(by_entropy, rate * share, rate)
        q_open, lambda_open = (u[:, GATE[o]] < rate[:, GATE[o]] for o in (Origin.Q, Origin.LAMBDA))
        return Gated(decoder, source, u, rate, origins(q_open, lambda_open))
