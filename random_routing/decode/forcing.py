"""Teacher forcing through the same forest: texts that begin alike are scored once where they agree."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.loop import decode
from random_routing.decode.model_call import Call
from random_routing.decode.prompts import Prompts
from random_routing.decode.row_counts import Work
from random_routing.decode.trajectory import Trajectories
from random_routing.law.base_decoders import plain
from random_routing.law.origin import Origin
from random_routing.models.network import LanguageModel
from random_routing.settings import Route


class Forced(ABC):
    """Chooses the given tokens, of which the longest text has `steps`; `record` keeps what it wants of each."""

    structural_routes: Sequence[Route] = ()

    def __init__(self, texts: Sequence[Sequence[int]], device: str) -> None:
        length = np.array([len(text) for text in texts])
        self.steps = int(length.max())
        tokens = np.zeros((len(texts), self.steps), dtype=np.int64)
        for i, text in enumerate(texts):
            tokens[i, : len(text)] = text
        self.length, self.tokens = (torch.from_numpy(array).to(device) for array in (length, tokens))

    def __call__(self, call: Call) -> tuple[Tensor, Tensor]:
        for _, piece in call.pieces():
            self.record(piece, self.tokens[piece.text, call.step])
        return self.tokens[call.text, call.step], call.step + 1 >= self.length[call.text]

    @abstractmethod
    def record(self, call: Call, token: Tensor) -> None:
        """call: of some rows; token: (M,) those of its texts."""


class LogProbs(Forced):
    """Keeps log-probabilities (nats)."""

    def __init__(self, texts: Sequence[Sequence[int]], device: str) -> None:
        super().__init__(texts, device)
        self.logprobs = torch.zeros(self.tokens.shape, device=device)

    def record(self, call: Call, token: Tensor) -> None:
        self.logprobs[call.text, call.step] = plain(call.logits).log_probs(call.row, token)


class Observed(Forced):
    """Keeps trajectories, of tokens that are all the model's."""

    def __init__(self, texts: Sequence[Sequence[int]], stop: frozenset[int], device: str) -> None:
        super().__init__(texts, device)
        self.made = Trajectories(len(texts), self.steps, stop, device)

    def record(self, call: Call, token: Tensor) -> None:
        p = plain(call.logits)
        origin = torch.full_like(token, Origin.MODEL)
        self.made.record(call, p, token, origin, p.log_probs(call.row, token))


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
    forced = LogProbs(texts, model.device)
    work = decode(model, prompts, forced, forced.steps, batch_size, on_step=on_step)
    logprobs = forced.logprobs.cpu().numpy()
    return [logprobs[i, : len(text)].copy() for i, text in enumerate(texts)], work
