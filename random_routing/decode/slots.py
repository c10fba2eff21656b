"""The prefixes that the model runs: where they lie in the key/value cache, and how they fork."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.prompts import Prompts
from random_routing.models.cache import SlotCache
from random_routing.models.network import LanguageModel
from random_routing.models.random_paths import parts_of
from random_routing.settings import Route

LOGITS = 2**26  # at most so many at once: with a large vocabulary the output layer runs in pieces


class Slots:
    """Prefixes fill the first slots of a cache without gaps.

    fed: (slots, T) token ids that the next call reads, the prompts and then the last token of each prefix;
    padding: (slots, P). Left padding to one length and keys whose number depends on the step alone make a
    row's logits independent of the rows beside it (together with `random_routing.models.invariant`).
    """

    def __init__(
        self, model: LanguageModel, prompts: Prompts, steps: int, batch_size: int, routes: Sequence[Route]
    ) -> None:
        """routes: structural ones, for which spare slots are there, and a count of what was `walked` in them."""
        batch_size = min(batch_size, max(2, LOGITS // model.shape.logits))
        self.model, self.batch_size = model, batch_size
        self.fed, self.padding = model.pad(prompts.ids, prompts.length)
        most = max(2, len(prompts.of_text), len(prompts.ids))
        most = -(-most // batch_size) * batch_size if model.static else most
        self.spare = range(most, most + max(2, batch_size)) if routes else range(0)
        prefix_length = prompts.prefix[0][0].shape[1] if prompts.prefix else 0
        self.cache = model.new_cache(most + len(self.spare), prompts.length, steps, prefix_length)
        self.parts = parts_of(model.network) if routes else None
        for route in routes:
            parts_of(model.network).check(route)  # before any step
        self.walked = 0
        if prompts.prefix:
            assert isinstance(self.cache, SlotCache)
            self.cache.fill(prompts.prefix, max(2, len(prompts.ids)))

    def __len__(self) -> int:
        return len(self.fed)

    def logits(self, start: int, stop: int, step: int) -> Tensor:
        """One model call on the slots [start, stop): (B, V).

        Copies of its first row fill up a lone row, and with static shapes the whole batch; they lie in slots
        that hold no prefix, or whose own row overwrites them.
        """
        rows = stop - start
        width = self.batch_size if self.model.static else max(rows, 2)
        pick = torch.arange(start, start + width)
        pick[rows:] = start
        self.cache.cover(start, start + width, step)
        if step == 0:  # prefill
            return self.model.start(self.fed[pick], self.padding[pick], self.cache)[:rows]
        return self.model.step(self.fed[pick], self.padding[pick], step, self.cache)[:rows]

    def fork(self, children: Children, step: int) -> np.ndarray:
        """Put every child into a slot: (children,) which. The children are the prefixes from here on."""
        placed = place(children.parent)
        moved = placed != children.parent
        self.cache.fork(children.parent[moved].tolist(), placed[moved].tolist(), step)
        order = np.argsort(placed)  # the child of each slot
        self.fed = torch.from_numpy(children.token[order])[:, None]  # (slots, 1)
        self.padding = self.padding[torch.from_numpy(children.parent[order])]
        return placed


@dataclass(frozen=True)
class Children:
    """Prefixes that are one token longer. parent, token: (children,), the slot that each comes from and what it adds;
    of_text: (texts,) the child of each text.
    """

    parent: np.ndarray
    token: np.ndarray
    of_text: np.ndarray


Grow = Callable[[np.ndarray, np.ndarray], Children]  # of the slot and the token of each text, (texts,) both


def together(slot: np.ndarray, token: np.ndarray) -> Children:
    """Texts that agree so far share a child: one for each pair of slot and token."""
    pairs, child = np.unique(np.stack([slot, token], axis=1), axis=0, return_inverse=True)
    return Children(pairs[:, 0], pairs[:, 1], child.reshape(-1))


def apart(slot: np.ndarray, token: np.ndarray) -> Children:
    """A child for each text: what nothing shared would cost, with the same results to the byte."""
    return Children(slot, token, np.arange(len(slot)))


def place(parent: np.ndarray) -> np.ndarray:
    """The slot of each child, of [0, children): the first child of a slot stays there where it can.

    A slot that is written to is never one that is still to be read: it is free because no child stays in
    it, and a slot with children always keeps one if it is low enough.
    """
    slots = np.full(len(parent), -1, dtype=np.int64)
    taken = np.zeros(len(parent), dtype=bool)
    for child, slot in enumerate(parent):
        if slot < len(parent) and not taken[slot]:
            slots[child], taken[slot] = slot, True
    slots[slots < 0] = np.flatnonzero(~taken)
    return slots
