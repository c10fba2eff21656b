"""Teacher forcing through the same forest: texts that begin alike are scored once where they agree."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from random_routing.decode.loop import decode
from random_routing.decode.model_call import Call
from random_routing.decode.prompts import Prompts
from random_routing.decode.row_counts import Work
from random_routing.decode.trajectory import Trajectories
from random_routing.law.base_decoders import distribution
from random_routing.law.origin import Origin
from random_routing.models.network import LanguageModel
from random_routing.settings import Base, Route


class Forced(ABC):
    """Chooses the given tokens, of which the longest text has `steps`; `record` keeps what it wants of each."""

    structural_routes: Sequence[Route] = ()

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        self.length = np.array([len(text) for text in texts])
        self.steps = int(self.length.max())
        self.tokens = np.zeros((len(texts), self.steps), dtype=np.int64)
        for i, text in enumerate(texts):
            self.tokens[i, : len(text)] = text

    def __call__(self, call: Call) -> tuple[np.ndarray, np.ndarray]:
        for _, piece in call.pieces():
            self.record(piece, self.tokens[piece.text, call.step])
        return self.tokens[call.text, call.step], call.step + 1 >= self.length[call.text]

    @abstractmethod
    def record(self, call: Call, token: np.ndarray) -> None:
        """call: of some rows, with float32 logits; token: (M,) those of its texts."""


class LogProbs(Forced):
    """Keeps log-probabilities (nats)."""

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        super().__init__(texts)
        self.logprobs = np.zeros(self.tokens.shape, dtype=np.float32)

    def record(self, call: Call, token: np.ndarray) -> None:
        p = distribution(call.logits, Base())
        self.logprobs[call.text, call.step] = p.log_probs(call.row, token)


class Observed(Forced):
    """Keeps trajectories, of tokens that are all the model's."""

    def __init__(self, texts: Sequence[Sequence[int]], stop: frozenset[int]) -> None:
        super().__init__(texts)
        self.made = Trajectories(*self.tokens.shape, stop)

    def record(self, call: Call, token: np.ndarray) -> None:
        p = distribution(call.logits, Base())
        self.made.record(call, p, token, Origin.MODEL, p.log_probs(call.row, token))


def score(
    model: LanguageModel,
    prompts: Prompts,
    texts: Sequence[Sequence[int]],
    batch_size: int,
    on_step: Callable[[int], None] = lambda delivered: None,
) -> tuple[list[np.ndarray], Work]:
    """log p of every token of every text after its prompt, in nats: a (T,) float32 array per text.

    texts: token ids, each with at least one. The result of a text does not depend on the others.
    """
    forced = LogProbs(texts)
    work = decode(model, prompts, forced, forced.steps, batch_size, on_step=on_step)
    return [forced.logprobs[i, :n].copy() for i, n in enumerate(forced.length)], work
