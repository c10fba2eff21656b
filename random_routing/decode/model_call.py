"""What passes between the loop and what chooses tokens: a model call, and the answer to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from random_routing.decode.along_path import Walk
from random_routing.settings import Route

# Logits looked at together: their weights take 16 MiB on a CPU. A GPU wants many at a time.
PIECE = {"cpu": 2**22, "cuda": 2**31}


@dataclass(frozen=True)
class Call:
    """The logits of one model call, for the next token of some texts. row[i] is the row of text[i].

    All tensors are on the model's device.
    """

    logits: Tensor  # (B, V) in the model's dtype
    row: Tensor  # (M,) int64
    text: Tensor  # (M,) int64
    step: int
    walk: Walk | None  # runs rows again along random paths, for a chooser with structural routes

    def __getitem__(self, pick: Tensor | slice) -> Call:
        """The same call for some of its texts."""
        return replace(self, row=self.row[pick], text=self.text[pick])

    def scores(self) -> Tensor:
        """The logits of each text's row: (M, V) float32."""
        return self.logits.index_select(0, self.row).float()

    def pieces(self, owner: Tensor | None = None) -> Iterator[tuple[Tensor | slice, Call]]:
        """Some rows at a time: the places (M',) of their texts in this call, and the rows' own call.

        Every row has texts. owner: (M,) of each text; rows of one come together.
        """
        rows = torch.arange(len(self.logits), device=self.row.device)
        pieces = cut(rows, self.logits.shape[1])
        if len(pieces) == 1:
            yield slice(None), self
            return
        if owner is not None:
            first = torch.zeros_like(rows).scatter_reduce(0, self.row, owner, "amin", include_self=False)
            pieces = cut(first.argsort(stable=True), self.logits.shape[1])
        for some in pieces:
            place = torch.full_like(rows, -1).index_copy_(0, some, rows[: len(some)])  # in the piece
            here = (place[self.row] >= 0).nonzero()[:, 0]
            logits = self.logits.index_select(0, some)
            yield here, replace(self, logits=logits, row=place[self.row[here]], text=self.text[here])


def cut(indices: Tensor, width: int) -> Sequence[Tensor]:
    """Indices of rows of `width` numbers, in pieces of about `PIECE` numbers."""
    return indices.split(max(1, PIECE[indices.device.type] // width))


class Choose(Protocol):
    """Takes the next token of every text and keeps what it wants to: `Sampler` by the law, `Forced` as it is given."""

    @property
    def structural_routes(self) -> Sequence[Route]:
        """Those that ask for `Call.walk`."""

    def __call__(self, call: Call) -> tuple[Tensor, Tensor]:
        """The token of each text, (M,) int64, and whether it ends the text, (M,) bool, on the device."""
