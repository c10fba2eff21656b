"""Teacher forcing through the same forest: texts that begin alike are scored once where they agree."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from random_routing.decode.loop import decode
from random_routing.decode.members import by_piece
from random_routing.decode.walk import Walk
from random_routing.decode.work import Work
from random_routing.law.distribution import distribution
from random_routing.models.network import LanguageModel
from random_routing.settings import Base


class Forced(ABC):
    """Chooses the given tokens; what is kept of each step is for `record` to say."""

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        self.length = np.array([len(text) for text in texts])
        self.tokens = np.zeros((len(texts), int(self.length.max())), dtype=np.int64)
        for i, text in enumerate(texts):
            self.tokens[i, : len(text)] = text

    def __call__(
        self, logits: Tensor, row: np.ndarray, members: np.ndarray, step: int, walk: Walk | None
    ) -> tuple[np.ndarray, np.ndarray]:
        for piece, here in by_piece(logits.shape, row):
            self.record(logits[piece].float(), row[here] - piece.start, members[here], step)
        return self.tokens[members, step], step + 1 >= self.length[members]

    @abstractmethod
    def record(self, scores: Tensor, row: np.ndarray, members: np.ndarray, step: int) -> None:
        """scores: (R, V) float32 logits; row: (M,) index into them; members: (M,) text numbers."""


class LogProbs(Forced):
    """Keeps log-probabilities (nats)."""

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        super().__init__(texts)
        self.logprobs = np.zeros(self.tokens.shape, dtype=np.float32)

    def record(self, scores: Tensor, row: np.ndarray, members: np.ndarray, step: int) -> None:
        law = distribution(scores, Base())
        self.logprobs[members, step] = law.log_probs(row, self.tokens[members, step])


class Observed(LogProbs):
    """Keeps ranks and the entropies (nats) of the steps too."""

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        super().__init__(texts)
        self.ranks = np.zeros(self.tokens.shape, dtype=np.int32)
        self.entropies = np.zeros(self.tokens.shape, dtype=np.float32)

    def record(self, scores: Tensor, row: np.ndarray, members: np.ndarray, step: int) -> None:
        law, tokens = distribution(scores, Base()), self.tokens[members, step]
        self.logprobs[members, step] = law.log_probs(row, tokens)
        self.ranks[members, step] = law.ranks(row, tokens)
        self.entropies[members, step] = law.entropy()[row]


def force(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    prompt_of_text: np.ndarray,
    forced: Forced,
    prompt_length: int,
    batch_size: int,
    on_step: Callable[[int], None] = lambda delivered: None,
) -> Work:
    """Run the texts of `forced` after their prompts; it holds the results."""
    steps = forced.tokens.shape[1]
    return decode(model, prompts, prompt_of_text, forced, steps, prompt_length, batch_size, on_step=on_step)


def score(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    prompt_of_text: np.ndarray,
    texts: Sequence[Sequence[int]],
    prompt_length: int,
    batch_size: int,
    on_step: Callable[[int], None] = lambda delivered: None,
) -> tuple[list[np.ndarray], Work]:
    """log p of every token of every text after its prompt, in nats: a (T,) float32 array a text.

    texts: token ids, each with at least one. The result of a text does not depend on the others.
    """
    forced = LogProbs(texts)
    work = force(model, prompts, prompt_of_text, forced, prompt_length, batch_size, on_step)
    return [forced.logprobs[i, :n].copy() for i, n in enumerate(forced.length)], work
