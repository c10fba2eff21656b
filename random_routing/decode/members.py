"""Members of a batch of rows at one step, and the text that each of them becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

MODEL, Q_ROUTE, LAMBDA_ROUTE = 0, 1, 2
PIECE = 2**21  # logits looked at together
GATE_Q, GATE_LAMBDA, TOKEN_MODEL, TOKEN_Q, TOKEN_LAMBDA = range(5)  # the order of noise.PURPOSES


@dataclass(frozen=True)
class Trajectory:
    """One text: token ids, route of each (0 model, 1 q-route, 2 λ-route), and what the model thought.

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


@dataclass(frozen=True)
class Members:
    """Some members at one step: row of the logits, decoder, whose noise, the noise (M, 5), the weights of
    the gates (M, 2) and the route taken of each.
    """

    row: np.ndarray
    decoder: np.ndarray
    source: np.ndarray
    u: np.ndarray
    weight: np.ndarray
    taken: np.ndarray

    def __getitem__(self, pick: np.ndarray) -> Members:
        return Members(*(getattr(self, field.name)[pick] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.row)


def by_piece(shape: tuple[int, ...], row: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Cut the rows of logits, (B, V), into pieces that stay in the processor's cache.

    Yields the slice of rows and the indices of the members, row (M,), that are in it.
    """
    size = max(1, PIECE // shape[1])
    order = np.argsort(row, kind="stable")
    edges = np.arange(0, shape[0] + size, size)
    first = np.searchsorted(row[order], edges)  # where each piece's members begin
    for i, start in enumerate(edges[:-1].tolist()):
        if len(here := order[first[i] : first[i + 1]]):
            yield slice(start, min(start + size, shape[0])), here
