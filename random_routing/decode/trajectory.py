"""What is kept of a text: its tokens, what made them, and what the model thought of them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from random_routing.decode.model_call import Call
from random_routing.law.base_decoders import Distribution


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
    """Texts as they grow. The arrays are (texts, steps); trajectories[i] is text i so far."""

    def __init__(self, texts: int, steps: int, stop: frozenset[int]) -> None:
        self.stop, self.length = stop, np.zeros(texts, dtype=np.int64)
        self.token_ids, self.ranks = (np.zeros((texts, steps), dtype=np.int32) for _ in range(2))
        self.routes = np.zeros((texts, steps), dtype=np.int8)
        self.logprobs, self.model_logprobs, self.entropies = (
            np.zeros((texts, steps), dtype=np.float32) for _ in range(3)
        )

    def record(
        self, call: Call, p: Distribution, token: np.ndarray, origin: np.ndarray | int, logprobs: np.ndarray
    ) -> None:
        """The tokens (M,) of the call's texts. p: the model's own; logprobs: under the base, (M,) nats."""
        at = (call.text, call.step)
        self.token_ids[at], self.routes[at], self.logprobs[at] = token, origin, logprobs
        self.model_logprobs[at] = p.log_probs(call.row, token)
        self.ranks[at] = p.ranks(call.row, token)
        self.entropies[at] = p.entropy()[call.row]
        self.length[call.text] = call.step + 1

    def __getitem__(self, text: int) -> Trajectory:
        end = int(self.length[text])
        names = [field.name for field in fields(Trajectory) if field.name != "ended"]
        columns = {name: getattr(self, name)[text, :end].copy() for name in names}
        return Trajectory(**columns, ended=int(self.token_ids[text, end - 1]) in self.stop)
