"""The decode loop: a forest of prefixes. Texts that have taken the same tokens so far share the model's work.

text    number of a text to be made: an example under one decoder
slot    place in the key/value cache of a prefix, which one or more texts share
row     row of one model call: its slot, counted from the call's first
child   a prefix that is one token longer; where the texts of a slot part, it has several
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from time import perf_counter

import numpy as np
import torch

from random_routing.decode.along_path import Walk
from random_routing.decode.model_call import Call, Choose
from random_routing.decode.prompts import Prompts
from random_routing.decode.row_counts import Work
from random_routing.decode.slots import Grow, Slots, together
from random_routing.errors import PipelineError
from random_routing.law.base_decoders import NotFinite
from random_routing.models.network import LanguageModel


@torch.inference_mode()
def decode(
    model: LanguageModel,
    prompts: Prompts,
    choose: Choose,
    steps: int,
    batch_size: int,
    grow: Grow = together,
    on_step: Callable[[int], None] = lambda delivered: None,
) -> Work:
    """Run all texts to their end or for `steps` tokens; `choose` keeps the results.

    At most about `batch_size` rows a model call. on_step: told how many tokens each step delivers.
    Raises `PipelineError` for a model without the parts that a route needs, or whose logits are not finite.
    """
    slots = Slots(model, prompts, steps, batch_size, choose.structural_routes)
    text, slot = np.arange(len(prompts.of_text)), prompts.of_text  # (texts,) those that go on, and where
    work = Work()
    for step in range(steps):
        # 1. Run every distinct prefix once, and choose a token for every text.
        token, ended = decode_one_token(slots, choose, text, slot, step, work)  # (texts,)
        on_step(len(text))
        # 2. Drop the texts that ended.
        text, slot, token = text[~ended], slot[~ended], token[~ended]
        if not len(text) or step == steps - 1:
            break
        # 3. Fork where texts part: a child for each prefix and token.
        children = grow(slot, token)
        slot = slots.fork(children, step)[children.of_text]
    work.walked = slots.walked
    work.rows += slots.walked
    return work


def decode_one_token(
    slots: Slots, choose: Choose, text: np.ndarray, slot: np.ndarray, step: int, work: Work
) -> tuple[np.ndarray, np.ndarray]:
    """Token `step` of each text, (texts,) int64, and whether it ends the text, (texts,) bool."""
    token, ended = np.empty(len(text), dtype=np.int64), np.empty(len(text), dtype=bool)
    for start, stop in spans(len(slots), slots.batch_size):
        began = perf_counter()
        logits = slots.logits(start, stop, step)  # (B, V) one row for each prefix
        called = perf_counter()
        here = np.flatnonzero((start <= slot) & (slot < stop))  # (M,) the texts of these rows
        walk = Walk(slots, slots.parts, start, step) if slots.parts else None
        call = Call(logits, slot[here] - start, text[here], step, walk)
        try:
            token[here], ended[here] = choose(call)
        except NotFinite as error:
            name = slots.model.name
            raise PipelineError(f"{name}: gives {error}; another dtype or model is needed") from None
        work.model_seconds += called - began
        work.choice_seconds += perf_counter() - called
    work.rows += len(slots)
    work.delivered += len(text)
    return token, ended


def spans(rows: int, batch_size: int) -> list[tuple[int, int]]:
    """Cut [0, rows) into near-equal pieces of about `batch_size`, none of them a single row.

    A single row is multiplied by another routine with other rounding, so it never runs alone.
    """
    pieces = max(1, min(-(-rows // batch_size), rows // 2))
    edges = [rows * i // pieces for i in range(pieces + 1)]
    return list(pairwise(edges))
