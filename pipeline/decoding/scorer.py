"""Teacher forcing through the same forest: texts that begin alike are scored once where they agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from pipeline.decoding.forest import Work, decode
from pipeline.decoding.members import by_piece
from pipeline.decoding.network import LanguageModel
from pipeline.decoding.sampling import distribution
from pipeline.decoding.walk import Walk
from pipeline.settings import Base


class Forced:
    """Chooses the given tokens and records their log-probabilities (nats).

    observe: record their ranks and the entropies (nats) of the steps too.
    """

    def __init__(self, texts: Sequence[Sequence[int]], observe: bool = False) -> None:
        self.length = np.array([len(text) for text in texts])
        self.tokens = np.zeros((len(texts), int(self.length.max())), dtype=np.int64)
        for i, text in enumerate(texts):
            self.tokens[i, : len(text)] = text
        self.observe = observe
        self.logprobs = np.zeros(self.tokens.shape, dtype=np.float32)
        self.ranks = np.zeros(self.tokens.shape, dtype=np.int32)
        self.entropies = np.zeros(self.tokens.shape, dtype=np.float32)

    def __call__(
        self, logits: Tensor, row: np.ndarray, members: np.ndarray, step: int, walk: Walk | None
    ) -> tuple[np.ndarray, np.ndarray]:
        tokens = self.tokens[members, step]
        for piece, here in by_piece(logits.shape, row):
            law, at = distribution(logits[piece].float(), Base()), row[here] - piece.start
            self.logprobs[members[here], step] = law.log_probs(at, tokens[here])
            if self.observe:
                self.ranks[members[here], step] = law.ranks(at, tokens[here])
                self.entropies[members[here], step] = law.entropy()[at]
        return tokens, step + 1 >= self.length[members]


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
    forced = Forced(texts)
    work = force(model, prompts, prompt_of_text, forced, prompt_length, batch_size, on_step)
    return [forced.logprobs[i, :n].copy() for i, n in enumerate(forced.length)], work
