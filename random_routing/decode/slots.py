"""The prefixes that the model runs: where they lie in the key/value cache, and how they fork."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from random_routing.decode.prompts import Prompts
from random_routing.models.cache import SlotCache
from random_routing.models.moments import Moment
from random_routing.models.network import LanguageModel
from random_routing.models.random_paths import parts_of
from random_routing.models.shared import SharedCache, prefill_rows
from random_routing.settings import Route

WALKED = 2_048  # rows that are run along random paths at once
TOKENS = 2**32  # more than any vocabulary has
# Logits of a model call, at most: with a large vocabulary there are more calls.
LOGITS, LOGITS_ON_GPU = 2**26, 2**31


class Slots:
    """Prefixes fill the first slots of a cache without gaps.

    fed: (slots, T) token ids that the next call reads, the prompts and then the last token of each prefix;
    padding: (slots, P). Left padding to one length and keys whose number depends on the step alone make a
    row's logits independent of the rows beside it (together with `random_routing.models.invariant`).
    """

    def __init__(
        self, model: LanguageModel, prompts: Prompts, steps: int, batch_size: int, routes: Sequence[Route]
    ) -> None:
        """routes: structural ones, for which spare slots are there, and a count of what was `walked` in them.

        calls, choices, walks: when each began and ended.
        """
        most = (LOGITS_ON_GPU if model.static else LOGITS) // model.shape.logits
        self.model, self.batch_size = model, min(batch_size, max(2, most))
        self.at_first = prefill_rows(prompts.length) if model.static else self.batch_size
        self.fed, self.padding = model.pad(prompts.ids, prompts.length)
        most = max(2, len(prompts.of_text), len(prompts.ids))
        self.spare = range(most, most + max(2, min(self.batch_size, WALKED))) if routes else range(0)
        prefix_length = prompts.prefix[0][0].shape[1] if prompts.prefix else 0
        self.cache = model.new_cache(most + len(self.spare), prompts.length, steps, prefix_length)
        self.parts = parts_of(model.network) if routes else None
        for route in routes:
            parts_of(model.network).check(route)  # before any step
        self.walked = 0
        self.calls, self.choices, self.walks = (list[tuple[Moment, Moment]]() for _ in range(3))
        # Rows of a call; on a GPU it is filled up in any case, and a server is asked for what is wanted alone.
        self.fewest = 1 if model.static or model.shape.served else 2
        if prompts.prefix:
            assert isinstance(self.cache, (SlotCache, SharedCache))
            self.cache.fill(prompts.prefix, max(2, len(prompts.ids)))

    def __len__(self) -> int:
        return len(self.fed)

    def spans(self, step: int) -> list[tuple[int, int]]:
        """The slots of each model call."""
        if self.model.static:
            return whole_spans(len(self), min(self.batch_size, self.at_first if step == 0 else len(self)))
        return spans(len(self), self.batch_size)

    def logits(self, start: int, stop: int, step: int) -> Tensor:
        """One model call on the slots [start, stop): (B, V).

        A copy of a lone row lies beside it, in a slot that holds no prefix.
        """
        rows = stop - start
        self.cache.cover(start, start + max(rows, self.fewest), step)
        fed, padding = self.fed[start:stop], self.padding[start:stop]
        if rows < self.fewest:
            fed, padding = (x.expand(self.fewest, -1) for x in (fed, padding))
        if step == 0:  # prefill
            return self.model.start(fed, padding, self.cache)[:rows]
        return self.model.step(fed, padding, step, self.cache)[:rows]

    def fork(self, children: Children, step: int) -> Tensor:
        """Put every child into a slot: (children,) which. The children are the prefixes from here on."""
        placed = self.cache.fork(children.parent, step)
        order = placed.argsort()  # the child of each slot
        self.fed = children.token[order, None]  # (slots, 1)
        self.padding = self.padding[children.parent[order]]
        return placed


def spans(rows: int, batch_size: int) -> list[tuple[int, int]]:
    """Cut [0, rows) into near-equal pieces of about `batch_size`, none of them a single row.

    A single row is multiplied by another routine with other rounding, so it never runs alone.
    """
    pieces = max(1, min(-(-rows // batch_size), rows // 2))
    edges = [rows * i // pieces for i in range(pieces + 1)]
    return list(pairwise(edges))


def whole_spans(rows: int, batch_size: int) -> list[tuple[int, int]]:
    """Cut [0, rows) into pieces of `batch_size`, and what is left: calls are filled up to a few sizes."""
    edges = [*range(0, rows, batch_size), rows]
    return list(pairwise(edges))


@dataclass(frozen=True)
class Children:
    """Prefixes that are one token longer. parent, token: (children,), the slot that each comes from and what it adds;
    of_text: (texts,) the child of each text.
    """

    parent: Tensor
    token: Tensor
    of_text: Tensor


Grow = Callable[[Tensor, Tensor], Children]  # of the slot and the token of each text, (texts,) both


def together(slot: Tensor, token: Tensor) -> Children:
    """Texts that agree so far share a child: one for each pair of slot and token."""
    pairs, child = torch.unique(slot * TOKENS + token, return_inverse=True)
    return Children(pairs // TOKENS, pairs % TOKENS, child)


def apart(slot: Tensor, token: Tensor) -> Children:
    """A child for each text: what nothing shared would cost, with the same results to the byte."""
    return Children(slot, token, torch.arange(len(slot), device=slot.device))
