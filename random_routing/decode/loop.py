"""The decode loop: a forest of prefixes.

A *member* is one text to be made: an example under one decoder. Members that have made the same
tokens so far are one *row*: they share the model's work and the key/value cache, and the row forks
at the first step where they part. Rows occupy the first slots of the cache without gaps; the rows
of members that ended leave at once.

Left padding to one prompt length and a key length that depends on the step alone make a row's
result independent of the rows beside it (together with `random_routing.models.invariant`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.walk import Walk, Walker
from random_routing.decode.work import Work
from random_routing.errors import PipelineError
from random_routing.law.distribution import NotFinite
from random_routing.models.cache import CrossCache, RowStates, SlotCache
from random_routing.models.network import LanguageModel
from random_routing.models.paths import parts_of

LOGITS = 2**26  # at most so many at once: with a large vocabulary the output layer runs in pieces


class Chooser(Protocol):
    """Decides the next token of members, and records what it wants to keep."""

    def __call__(
        self, logits: Tensor, row: np.ndarray, members: np.ndarray, step: int, walk: Walk | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """logits: (B, V) of a few rows; row: (M,) index into them; members: (M,) member numbers;
        walk: runs rows again along random paths, where `decode` was asked for it.

        Returns tokens (M,) int64 and ended (M,) bool.
        """
        ...


def spans(rows: int, batch_size: int) -> list[tuple[int, int]]:
    """Cut [0, rows) into near-equal pieces of about `batch_size`, none of them a single row.

    A single row is multiplied by another routine with other rounding, so it never runs alone.
    """
    pieces = max(1, min(-(-rows // batch_size), rows // 2))
    edges = [rows * i // pieces for i in range(pieces + 1)]
    return list(pairwise(edges))


@torch.inference_mode()
def decode(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    prompt_of_member: np.ndarray,
    choose: Chooser,
    steps: int,
    prompt_length: int,
    batch_size: int,
    prefix: RowStates | None = None,
    share: bool = True,
    walks: bool = False,
    on_step: Callable[[int], None] = lambda delivered: None,
) -> Work:
    """Run all members to their end or for `steps` tokens; `choose` keeps the results.

    prompts: token ids a prompt, without the prefix that they share (`prefix`: its keys and values);
    prompt_of_member: (members,) index into them. `share=False` gives every member a row of its own
    after the prefill (the results are the same, to the byte). walks: `choose` may run rows again along
    random paths; `batch_size` more slots are for that.
    """
    batch_size = min(batch_size, max(2, LOGITS // model.shape.logits))
    tokens, padding = model.pad(prompts, prompt_length)  # (rows, P): what the next call feeds
    slots = max(2, len(prompt_of_member), len(prompts))
    slots = -(-slots // batch_size) * batch_size if model.static else slots
    prefix_length = prefix[0][0].shape[1] if prefix else 0
    spare = max(2, batch_size) if walks else 0
    cache = model.new_cache(slots + spare, prompt_length, steps, prefix_length)
    walker = Walker(model, parts_of(model.network), cache, slots, spare) if walks else None
    if prefix:
        assert isinstance(cache, SlotCache)
        cache.fill(prefix, max(2, len(prompts)))
    live = np.arange(len(prompt_of_member))  # members that have not ended
    row = np.asarray(prompt_of_member, dtype=np.int64)  # (live,) the slot of each
    work = Work()
    for step in range(steps):
        chosen = np.empty(len(live), dtype=np.int64)
        ended = np.zeros(len(live), dtype=bool)
        for start, stop in spans(len(tokens), batch_size):
            began = perf_counter()
            logits = _call(model, tokens, padding, cache, start, stop, step, batch_size)  # (B, V)
            called = perf_counter()
            here = np.flatnonzero((row >= start) & (row < stop))
            walk = walker.call(tokens, padding, start, step) if walker else None
            try:
                chosen[here], ended[here] = choose(logits, row[here] - start, live[here], step, walk)
            except NotFinite as error:
                raise PipelineError(
                    f"{model.name}: gives {error}; another dtype or model is needed"
                ) from None
            work.model_seconds += called - began
            work.choice_seconds += perf_counter() - called
        work.rows += len(tokens)
        work.delivered += len(live)
        on_step(len(live))
        keep = ~ended
        live, row, chosen = live[keep], row[keep], chosen[keep]
        if not len(live) or step == steps - 1:
            break
        parent, row, token = _regroup(row, chosen, share)
        slot = _place(parent)
        cache.fork([int(parent[i]) for i in slot.moved], slot.moved_to, step)
        tokens = torch.from_numpy(token[slot.order])[:, None]  # (rows, 1)
        padding = padding[torch.from_numpy(parent[slot.order])]
        row = slot.number[row]
    if walker:
        work.walked = walker.rows
        work.rows += walker.rows
    return work


def _call(
    model: LanguageModel,
    tokens: Tensor,
    padding: Tensor,
    cache: SlotCache | CrossCache,
    start: int,
    stop: int,
    step: int,
    batch_size: int,
) -> Tensor:
    """One model call on slots [start, stop). Copies of its first row fill up a lone row, and with
    static shapes the whole batch; they lie in slots that hold no row, or whose own row overwrites them.
    """
    rows = stop - start
    width = batch_size if model.static else max(rows, 2)
    pick = torch.arange(start, start + width)
    pick[rows:] = start
    cache.cover(start, start + width, step)
    if step == 0:
        logits = model.start(tokens[pick], padding[pick], cache)
    else:
        logits = model.step(tokens[pick], padding[pick], step, cache)
    return logits[:rows]


def _regroup(row: np.ndarray, chosen: np.ndarray, share: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Children of the rows: (parent slot of each child, child of each member, token of each child)."""
    if not share:
        return row, np.arange(len(row)), chosen
    pairs = np.stack([row, chosen], axis=1)  # (live, 2)
    children, child = np.unique(pairs, axis=0, return_inverse=True)
    return children[:, 0], child.reshape(-1), children[:, 1]


@dataclass(frozen=True)
class Placement:
    """Where children go: number[c] is child c's slot, order its inverse; moved children need a copy."""

    number: np.ndarray
    order: np.ndarray
    moved: list[int]
    moved_to: list[int]


def _place(parent: np.ndarray) -> Placement:
    """Give children the slots [0, children): the first child of a row stays where it can.

    A slot that is written to never holds a row that is still to be read: it is free because its
    own row has no child that stays there, and a row with children always keeps one if its slot is low.
    """
    count = len(parent)
    number = np.full(count, -1, dtype=np.int64)
    taken = np.zeros(count, dtype=bool)
    for child, slot in enumerate(parent):
        if slot < count and not taken[slot]:
            number[child], taken[slot] = slot, True
    moved = np.flatnonzero(number < 0)
    number[moved] = np.flatnonzero(~taken)
    return Placement(number, np.argsort(number), moved.tolist(), number[moved].tolist())
