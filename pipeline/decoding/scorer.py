"""Teacher forcing through the same forest: texts that begin alike are scored once where they agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from pipeline.decoding.forest import Work, decode
from pipeline.decoding.network import LanguageModel
from pipeline.decoding.sampler import by_piece
from pipeline.decoding.sampling import distribution
from pipeline.settings import Base


class Forced:
    """Chooses the given tokens and records their log-probabilities (nats)."""

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        self.length = np.array([len(text) for text in texts])
        self.tokens = np.zeros((len(texts), int(self.length.max())), dtype=np.int64)
        for i, text in enumerate(texts):
            self.tokens[i, : len(text)] = text
        self.logprobs = np.zeros(self.tokens.shape, dtype=np.float32)

    def __call__(
        self, logits: Tensor, row: np.ndarray, members: np.ndarray, step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        tokens = self.tokens[members, step]
        for piece, here in by_piece(logits.shape, row):
            law = distribution(logits[piece].float(), Base())
            self.logprobs[members[here], step] = law.log_probs(row[here] - piece.start, tokens[here])
        return tokens, step + 1 >= self.length[members]


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
    steps = forced.tokens.shape[1]
    work = decode(model, prompts, prompt_of_text, forced, steps, prompt_length, batch_size, on_step=on_step)
    return [forced.logprobs[i, :n].copy() for i, n in enumerate(forced.length)], work
