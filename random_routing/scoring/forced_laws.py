"""p and δ of every token of given texts, from one teacher-forced pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.forcing import Forced
from random_routing.decode.model_call import Call
from random_routing.law.base_decoders import distribution
from random_routing.law.routes import delta
from random_routing.law.schedules import step_bases
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Base, Route

SCORE_ROUTES = ("uniform", "top_k", "unigram")  # of a closed form in the scores


@dataclass(frozen=True)
class Law:
    """A base decoder, of which an annealing says its length, and a route on it."""

    base: Base
    route: Route


class Recorder(Forced):
    """Keeps p and δ of each token under every law: (laws, texts, T) float64."""

    def __init__(
        self,
        texts: Sequence[Sequence[int]],
        laws: Sequence[Law],
        vocabulary: Vocabulary,
        tables: dict[Route, np.ndarray],
        device: str,
    ) -> None:
        super().__init__(texts, device)
        self.laws, self.vocabulary, self.tables = laws, vocabulary, tables
        self.bases = [step_bases(law.base, self.steps) for law in laws]
        shape = (len(laws), *self.tokens.shape)
        self.p, self.delta = (torch.zeros(shape, dtype=torch.float64, device=device) for _ in range(2))

    def record(self, call: Call, token: Tensor) -> None:
        for number, law in enumerate(self.laws):
            at = (number, call.text, call.step)
            p = distribution(call.logits, self.bases[number][call.step])
            self.p[at] = p.log_probs(call.row, token).double().exp()
            mass = delta(law.route, call.logits.float(), self.vocabulary, self.tables.get(law.route))
            self.delta[at] = mass[call.row, token].double()
