"""Runs the texts of a plan that are not in the store, in blocks of bounded memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np

from pipeline.decoding.beam import beam_search
from pipeline.decoding.examples import Example
from pipeline.decoding.forest import Work, decode
from pipeline.decoding.model import LanguageModel
from pipeline.decoding.plan import Plan, Text
from pipeline.decoding.sampler import Sampler, Trajectory
from pipeline.decoding.store import Store


def pack(trajectory: Trajectory) -> bytes:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        token_ids=trajectory.token_ids,
        routes=trajectory.routes,
        logprobs=trajectory.logprobs,
        model_logprobs=trajectory.model_logprobs,
        ended=np.array(trajectory.ended),
    )
    return buffer.getvalue()


def unpack(value: bytes) -> Trajectory:
    with np.load(io.BytesIO(value), allow_pickle=False) as arrays:
        return Trajectory(
            arrays["token_ids"],
            arrays["routes"],
            arrays["logprobs"],
            arrays["model_logprobs"],
            bool(arrays["ended"]),
        )


def blocks(texts: list[Text], max_rows: int) -> Iterator[list[Text]]:
    """Texts of one example together, at most `max_rows` at once (so memory is bounded)."""
    by_example: dict[Example, list[Text]] = {}
    for text in texts:
        by_example.setdefault(text.example, []).append(text)
    block: list[Text] = []
    for group in by_example.values():
        if len(block) + len(group) > max_rows and block:
            yield block
            block = []
        block = block + group
        while len(block) > max_rows:  # a single example with more texts than fit
            yield block[:max_rows]
            block = block[max_rows:]
    if block:
        yield block


def run_block(
    model: LanguageModel,
    plan: Plan,
    texts: list[Text],
    batch_size: int,
    share: bool = True,
    on_step: Callable[[int], None] = lambda delivered: None,
) -> tuple[dict[bytes, Trajectory], Work]:
    """Trajectories by key. Texts of equal prompt share the prefill and all that follows alike."""
    prompts = list(dict.fromkeys(text.example.prompt for text in texts))
    number = {prompt: i for i, prompt in enumerate(prompts)}
    decoders = list(dict.fromkeys(text.job.decoder for text in texts))
    sources = list(dict.fromkeys((t.example.id, t.sample, t.job.tag) for t in texts))
    first = {(t.example.id, t.sample, t.job.tag): t for t in reversed(texts)}
    decoder_number = {decoder: i for i, decoder in enumerate(decoders)}
    source_number = {source: i for i, source in enumerate(sources)}
    sampler = Sampler(
        decoders=decoders,
        decoder_of=np.array([decoder_number[t.job.decoder] for t in texts]),
        noise_of=np.array([source_number[t.example.id, t.sample, t.job.tag] for t in texts]),
        noise=np.stack([plan.noise(first[source]) for source in sources]),
        vocabulary=plan.vocabulary,
    )
    work = decode(
        model=model,
        prompts=prompts,
        prompt_of_member=np.array([number[t.example.prompt] for t in texts]),
        choose=sampler,
        steps=plan.task.max_new_tokens,
        prompt_length=plan.prompt_length,
        batch_size=batch_size,
        share=share,
        on_step=on_step,
    )
    return {text.key: sampler.trajectory(i) for i, text in enumerate(texts)}, work


def run_beam(
    model: LanguageModel, plan: Plan, texts: list[Text], batch_size: int
) -> dict[bytes, Trajectory]:
    """Beam search of texts that share a decoder."""
    trajectories = beam_search(
        model,
        [text.example.prompt for text in texts],
        texts[0].job.decoder.beams,
        plan.task.max_new_tokens,
        plan.vocabulary.stop,
        plan.prompt_length,
        batch_size,
    )
    return {text.key: t for text, t in zip(texts, trajectories, strict=True)}


def run_missing(
    model: LanguageModel,
    plan: Plan,
    texts: list[Text],
    store: Store,
    batch_size: int,
    max_rows: int,
    on_step: Callable[[int], None],
    on_block: Callable[[int], None],
) -> Work:
    """Run `texts` and put them into the store block by block; an interruption loses one block."""
    total = Work()
    forest = [text for text in texts if not text.job.decoder.beams]
    for block in blocks(forest, max_rows):
        trajectories, work = run_block(model, plan, block, batch_size, on_step=on_step)
        store.put({key: pack(trajectory) for key, trajectory in trajectories.items()})
        total.rows += work.rows
        total.delivered += work.delivered
        on_block(len(block))
    beam = [text for text in texts if text.job.decoder.beams]
    for job in dict.fromkeys(text.job for text in beam):
        own = [text for text in beam if text.job == job]
        for start in range(0, len(own), batch_size):
            piece = own[start : start + batch_size]
            found = run_beam(model, plan, piece, batch_size)
            store.put({key: pack(trajectory) for key, trajectory in found.items()})
            delivered = sum(len(t.token_ids) for t in found.values())
            total.rows += delivered * job.decoder.beams
            total.delivered += delivered
            on_step(delivered)
            on_block(len(piece))
    return total
