"""What is kept of a text: its tokens, what made them, and what the model thought of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.model_call import Call
from random_routing.law.base_decoders import Plain


@dataclass(frozen=True)
class Trajectory:
    """One text: token ids, the `Origin` of each, and what the model thought.

    logprobs: nats, under the base decoder's p (−inf where p gives the token nothing); under the
    model's own distribution: model_logprobs (nats), ranks (1: the likeliest), entropies of the step
    (nats). `ended`: a stop token (kept, as the last id) ended it.
    """

    token_ids: np.ndarray  # (T,) int32
    routes: np.ndarray  # (T,) int8
    logprobs: np.ndarray  # (T,) float32
    model_logprobs: np.ndarray  # (T,) float32
    ranks: np.ndarray  # (T,) int32
    entropies: np.ndarray  # (T,) float32
    ended: bool


class Trajectories:
    """Texts as they grow, on the device: tensors (texts, steps), of which `length` steps are there, (texts,)."""

    def __init__(self, texts: int, steps: int, stop: frozenset[int], device: str) -> None:
        def column(dtype: torch.dtype) -> Tensor:
            return torch.zeros(texts, steps, dtype=dtype, device=device)

        self.stop, self.length = stop, torch.zeros(texts, dtype=torch.int64, device=device)
        self.token_ids, self.ranks = column(torch.int32), column(torch.int32)
        self.routes = column(torch.int8)
        self.logprobs, self.model_logprobs, self.entropies = (column(torch.float32) for _ in range(3))

    def record(self, call: Call, p: Plain, token: Tensor, origin: Tensor, logprobs: Tensor) -> None:
        """The tokens (M,) of the call's texts. p: the model's own distribution; logprobs: under the base, in nats."""
        at = (call.text, call.step)
        self.token_ids[at], self.routes[at], self.logprobs[at] = token.int(), origin.char(), logprobs
        self.model_logprobs[at] = p.log_probs(call.row, token)
        self.ranks[at] = p.ranks(call.row, token).int()
        self.entropies[at] = p.entropy()[call.row].float()
        self.length[call.text] = call.step + 1

    def texts(self) -> list[Trajectory]:
        """All of them so far: what is on the device is copied once."""
        names = [field.name for field in fields(Trajectory) if field.name != "ended"]
        length = self.length.cpu().numpy()
        there = np.arange(self.token_ids.shape[1]) < length[:, None]
        edges = list(pairwise([0, *length.cumsum().tolist()]))
        columns = [getattr(self, name).cpu().numpy()[there] for name in names]  # text after text
        ended = np.isin(columns[names.index("token_ids")][length.cumsum() - 1], list(self.stop)).tolist()
        parts = [[column[first:last] for first, last in edges] for column in columns]
        return [Trajectory(*of_text) for of_text in zip(*parts, ended, strict=True)]
