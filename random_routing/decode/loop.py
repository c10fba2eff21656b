"""The decode loop: a forest of prefixes. Texts that have taken the same tokens so far share the model's work.

text    number of a text to be made: an example under one decoder
slot    place in the key/value cache of a prefix, which one or more texts share
row     row of one model call: its slot, counted from the call's first
child   a prefix that is one token longer; where the texts of a slot part, it has several
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from random_routing.decode.along_path import Walk
from random_routing.decode.model_call import Call, Choose
from random_routing.decode.prompts import Prompts
from random_routing.decode.row_counts import Work
from random_routing.decode.slots import Grow, Slots, together
from random_routing.errors import PipelineError
from random_routing.law.probabilities import NotFinite
from random_routing.models.moments import seconds
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
    slot = torch.from_numpy(prompts.of_text).to(model.device)  # (texts,) where those are that go on,
    text = torch.arange(len(slot), device=slot.device)  # (texts,) and their numbers
    work = Work()
    for step in range(steps):
        # 1. Run every distinct prefix once, and choose a token for every text.
        token, ended = decode_one_token(slots, choose, text, slot, step, work)  # (texts,)
        on_step(len(text))
        # 2. Drop the texts that ended.
        go_on = (~ended).nonzero()[:, 0]
        text, slot, token = text[go_on], slot[go_on], token[go_on]
        if not len(text) or step == steps - 1:
            break
        # 3. Fork where texts part: a child for each prefix and token.
        children = grow(slot, token)
        slot = slots.fork(children, step)[children.of_text]
    work.walked = slots.walked
    work.rows += slots.walked
    walked = seconds(slots.walks)
    work.model_seconds = seconds(slots.calls) + walked
    work.choice_seconds = seconds(slots.choices) - walked
    return work


def decode_one_token(
    slots: Slots, choose: Choose, text: Tensor, slot: Tensor, step: int, work: Work
) -> tuple[Tensor, Tensor]:
    """Token `step` of each text, (texts,) int64, and whether it ends the text, (texts,) bool."""
    token, ended = torch.empty_like(text), torch.empty_like(text, dtype=torch.bool)
    for start, stop in (spans := slots.spans(step)):
        began = slots.model.moment()
        logits = slots.logits(start, stop, step)  # (B, V) one row for each prefix
        called = slots.model.moment()
        # The texts of these rows, (M,), without waiting for their number where they are all.
        here = slice(None) if len(spans) == 1 else ((start <= slot) & (slot < stop)).nonzero()[:, 0]
        walk = Walk(slots, slots.parts, start, step) if slots.parts else None
        call = Call(logits, slot[here] - start, text[here], step, walk)
        try:
            token[here], ended[here] = choose(call)
        except NotFinite as error:
            name = slots.model.name
            raise PipelineError(f"{name}: gives {error}; another dtype or model is needed") from None
        slots.calls.append((began, called))
        slots.choices.append((called, slots.model.moment()))
    work.rows += len(slots)
    work.delivered += len(text)
    return token, ended
