"""What passes between the loop and what chooses tokens: a model call, and the answer to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.along_path import Walk
from random_routing.settings import Route

PIECE = 2**21  # logits looked at together: they stay in the processor's cache


@dataclass(frozen=True)
class Call:
    """The logits of one model call, for the next token of some texts. row[i] is the row of text[i]."""

    logits: Tensor  # (B, V) in the model's dtype
    row: np.ndarray  # (M,)
    text: np.ndarray  # (M,)
    step: int
    walk: Walk | None  # runs rows again along random paths, for a chooser with structural routes

    def __getitem__(self, pick: np.ndarray) -> Call:
        """The same call for some of its texts."""
        return replace(self, row=self.row[pick], text=self.text[pick])

    def scores(self) -> Tensor:
        """The logits of each text's row: (M, V) float32."""
        return self.logits[torch.from_numpy(self.row)].float()

    def pieces(self) -> Iterator[tuple[np.ndarray, Call]]:
        """A few rows at a time: the places (M',) of their texts in this call, and the rows' own call, in float32."""
        for rows in cut(np.arange(len(self.logits)), self.logits.shape[1]):
            start, stop = int(rows[0]), int(rows[-1]) + 1
            here = np.flatnonzero((start <= self.row) & (self.row < stop))
            if len(here):
                logits = self.logits[start:stop].float()
                yield here, Call(logits, self.row[here] - start, self.text[here], self.step, None)


def cut(indices: np.ndarray, width: int) -> list[np.ndarray]:
    """Indices of rows of `width` logits, in pieces of about `PIECE` logits."""
    size = max(1, PIECE // width)
    return np.split(indices, range(size, len(indices), size))


class Choose(Protocol):
    """Takes the next token of every text and keeps what it wants to: `Sampler` by the law, `Forced` as it is given."""

    @property
    def structural_routes(self) -> Sequence[Route]:
        """Those that ask for `Call.walk`."""

    def __call__(self, call: Call) -> tuple[np.ndarray, np.ndarray]:
        """The token of each text, (M,) int64, and whether it ends the text, (M,) bool."""
