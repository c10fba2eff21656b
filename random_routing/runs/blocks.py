"""Runs texts of a plan in units of bounded memory: blocks of examples, or texts of one beam width."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from random_routing.decode.beam import beam_search
from random_routing.decode.loop import decode
from random_routing.decode.prompts import Prompts, numbered
from random_routing.decode.row_counts import Work
from random_routing.decode.sampler import Sampler
from random_routing.decode.slots import Grow, together
from random_routing.decode.trajectory import Trajectory
from random_routing.models.cache import RowStates
from random_routing.models.memory import Memory
from random_routing.models.network import LanguageModel
from random_routing.models.numerics import check_numerics
from random_routing.runs.plan import Job, Plan, Text
from random_routing.runs.tokenized import Example, padded_length


def grouped(texts: Iterable[Text]) -> Iterator[list[Text]]:
    """The texts, example by example."""
    by_example: dict[Example, list[Text]] = {}
    for text in texts:
        by_example.setdefault(text.example, []).append(text)
    yield from by_example.values()


def units(groups: Iterable[list[Text]], max_rows: int) -> Iterator[list[Text]]:
    """What is run at once: blocks of whole examples with all their texts, so that cells share all that they can, at
    most `max_rows` of them, so that memory is bounded; or texts of one beam width. Prompts of a unit have one
    padded length. groups: as of `grouped`.
    """
    blocks: dict[int, list[Text]] = {}
    searched: dict[tuple[Job, int], list[Text]] = {}
    for group in groups:
        room = padded_length(len(group[0].example.prompt))
        for text in (text for text in group if text.job.decoder.beams):
            unit = searched.setdefault((text.job, room), [])
            unit.append(text)
            if len(unit) == max(1, max_rows // text.job.decoder.beams):
                yield searched.pop((text.job, room))
        sampled = [text for text in group if not text.job.decoder.beams]
        block = blocks.pop(room, [])
        if len(block) + len(sampled) > max_rows and block:
            yield block
            block = []
        block.extend(sampled)
        while len(block) > max_rows:  # a single example with more texts than fit
            yield block[:max_rows]
            block = block[max_rows:]
        if block:
            blocks[room] = block
    yield from (blocks[room] for room in sorted(blocks))
    yield from searched.values()


@dataclass
class Ready:
    """A loaded model, with the keys and values of a prefix that all prompts share."""

    model: LanguageModel
    prefix: RowStates | None
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        self.memory = Memory(self.model.forget)


def make_ready(
    load: Callable[[], LanguageModel], prefix: tuple[int, ...] = (), wanted: dict[str, str] | None = None
) -> Ready:
    """wanted: `numerics` of the machine that gives out the work."""
    model = load()
    if wanted:
        check_numerics(wanted, model.device)
    with torch.inference_mode():
        return Ready(model, model.prefix_states(prefix) if prefix else None)


def run_unit(
    ready: Ready, texts: list[Text], on_step: Callable[[int], None], plan: Plan, batch_size: int
) -> tuple[dict[bytes, Trajectory], Work]:
    """Trajectories of one unit by key, with the work that they took."""
    if texts[0].job.decoder.beams:
        trajectories, work = run_beam(ready.model, plan, texts, batch_size)
        on_step(work.delivered)
        return trajectories, work
    return run_block(ready, plan, texts, batch_size, on_step=on_step)


def run_block(
    ready: Ready,
    plan: Plan,
    texts: list[Text],
    batch_size: int,
    grow: Grow = together,
    on_step: Callable[[int], None] = lambda delivered: None,
) -> tuple[dict[bytes, Trajectory], Work]:
    """Texts of one prompt share the prefill, and rows until they part. All prompts have one padded length."""
    prefix = plan.prefix_of(texts[0].example)
    prompts = Prompts.of(
        [text.example.prompt[len(prefix) :] for text in texts],
        plan.room(texts[0].example) - len(prefix),
        ready.prefix if prefix else None,
    )
    decoders, decoder_of = numbered([text.job.decoder for text in texts])
    owners, source_of = numbered([(text.example.id, text.sample, text.job.tag) for text in texts])
    sources = [plan.source(*owner) for owner in owners]
    steps = plan.task.max_new_tokens
    sampler = Sampler(
        decoders, decoder_of, source_of, np.stack([source.steps(steps) for source in sources]),
        plan.vocabulary, ready.model.device, sources, plan.tables,
    )  # fmt: skip
    work = decode(ready.model, prompts, sampler, steps, batch_size, grow, on_step)
    return {text.key: made for text, made in zip(texts, sampler.made.texts(), strict=True)}, work


def run_beam(
    model: LanguageModel, plan: Plan, texts: list[Text], batch_size: int
) -> tuple[dict[bytes, Trajectory], Work]:
    """Beam search of texts that share a decoder, with prompts of one padded length. It has no noise: all samples of an
    example are one search.
    """
    beams = texts[0].job.decoder.beams
    examples, number = numbered([text.example for text in texts])
    prompts = Prompts.of([example.prompt for example in examples], plan.room(texts[0].example))
    trajectories = beam_search(
        model, prompts, beams, plan.task.max_new_tokens, plan.vocabulary.stop, batch_size
    )
    work = Work(
        rows=beams * sum(len(t.token_ids) for t in trajectories),
        delivered=sum(len(trajectories[n].token_ids) for n in number),
    )
    return {text.key: trajectories[n] for text, n in zip(texts, number, strict=True)}, work
