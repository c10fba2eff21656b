"""Which texts take a random route at a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.model_call import Call, cut
from random_routing.law.base_decoders import plain
from random_routing.law.cells import Decoder, gate_rates
from random_routing.law.gates import entropy_weights, weights
from random_routing.law.noise import GATE, uniform
from random_routing.law.origin import Origin, origins


@dataclass(frozen=True)
class Gated:
    """Some texts at one step: decoder and source of each, its words, q and λ, and the origin that they decide."""

    decoder: Tensor  # (M,)
    source: Tensor  # (M,)
    word: Tensor  # (M, 7) int64 in the order of `noise.PURPOSES`
    rate: Tensor  # (M, 2) float64, q and λ: the gates' weights at this step
    origin: Tensor  # (M,) int8

    def __getitem__(self, pick: Tensor | slice) -> Gated:
        return Gated(*(getattr(self, field.name)[pick] for field in fields(self)))


class Gates:
    """The gates of every text. decoder_of, source_of: (texts,); noise: (sources, 7, steps) int64."""

    def __init__(
        self,
        decoders: Sequence[Decoder],
        decoder_of: np.ndarray,
        source_of: np.ndarray,
        noise: Tensor,
        device: str,
    ) -> None:
        rate = np.empty((len(decoder_of), 2, noise.shape[2]))  # of entropy gates without the entropies
        u = uniform(noise[:, : len(GATE)]).numpy()  # (sources, 2, steps)
        for number, decoder in enumerate(decoders):
            texts = np.flatnonzero(decoder_of == number)
            for origin, rates in gate_rates(decoder, noise.shape[2]).items():
                gate = GATE[origin]
                rate[texts, gate] = weights(decoder.gates[origin], rates, u[source_of[texts], gate])
        self.rate, self.noise = torch.from_numpy(rate).to(device), noise.to(device)
        self.decoder_of, self.source_of = (
            torch.from_numpy(of_text).to(device) for of_text in (decoder_of, source_of)
        )
        gates = [[d.gates[origin] for origin in GATE] for d in decoders]
        self.by_entropy = torch.tensor(
            [[gate.kind == "entropy" for gate in both] for both in gates], device=device
        )
        self.scale = torch.tensor(
            [[gate.scale for gate in both] for both in gates], device=device
        ).double()  # (D, 2)
        self.any_by_entropy = bool(self.by_entropy.any())

    def open(self, call: Call) -> Gated:
        """The call's texts: gate_q's number below q opens the q-gate, gate_λ's below λ the λ-gate."""
        decoder, source = self.decoder_of[call.text], self.source_of[call.text]
        word = self.noise[source, :, call.step]  # (M, 7)
        rate = self.rate[call.text, :, call.step]  # (M, 2)
        if self.any_by_entropy:
            by_entropy = self.by_entropy[decoder]
            texts = by_entropy.any(1).nonzero()[:, 0]
            rows, row = call.row[texts].unique(return_inverse=True)
            pieces = (call.logits.index_select(0, some) for some in cut(rows, call.logits.shape[1]))
            entropy = torch.cat([plain(logits).entropy() for logits in pieces])[row, None]
            share = entropy_weights(self.scale[decoder[texts]], entropy, call.logits.shape[1])
            rate[texts] = torch.where(by_entropy[texts], rate[texts] * share, rate[texts])
        q_open, lambda_open = (
            uniform(word[:, GATE[o]]) < rate[:, GATE[o]] for o in (Origin.Q, Origin.LAMBDA)
        )
        return Gated(decoder, source, word, rate, origins(q_open, lambda_open))
