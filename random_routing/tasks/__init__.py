"""The kinds of tasks: a literal table of what is particular to each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from random_routing.environments.tabular import Environment
from random_routing.settings import Task
from random_routing.tasks import dialogue, images, rl, textgen, translation
from random_routing.tasks.usable_records import LeftOut


@dataclass(frozen=True)
class TaskKind:
    """build(records, task, generator, left) gives prepared rows in an order that more examples only extend, and
    counts in `left` the records that it leaves out.

    judge_context(row): what the judge reads before a text, the beginning of a document; judge_text(text): the text as
    it follows; judged: what is judged, in words, for signatures. people: what wrote the references, as reports say.
    world(model): the environment that a policy acts in; None where texts are no episodes.
    embeds, shown_as: how texts become vectors (`scoring/embedding.py`) and how a reader sees them (`report/page`).
    bits: whether likelihoods are told in bits a pixel, and not in nats a token.
    """

    title: str
    build: Callable[[Iterable[dict[str, Any]], Task, Any, LeftOut], list[dict[str, Any]]]
    add_special_tokens: bool  # whether the tokenizer's own beginning goes before the prompt
    goes_on: bool  # a text goes on where its prompt ends, so that a first space belongs to it; else it is stripped
    stop_at_newline: bool
    judge_context: Callable[[dict[str, Any]], str]
    judge_text: Callable[[str], str]
    judged: str = "text given its context"
    people: str = "human texts"
    world: Callable[[str], Environment | None] = lambda model: None
    embeds: str = "sentences"
    shown_as: str = "text"
    bits: bool = False


TASK_KINDS = {
    "textgen": TaskKind(
        title="Open-ended text",
        build=textgen.build,
        add_special_tokens=True,
        goes_on=True,
        stop_at_newline=False,
        judge_context=lambda row: row["prompt"],
        judge_text=lambda text: text,
    ),
    "dialogue": TaskKind(
        title="Dialogue",
        build=dialogue.build,
        add_special_tokens=False,  # the chat template holds them
        goes_on=False,
        stop_at_newline=False,
        judge_context=lambda row: f"{row['source']}\nB:",
        judge_text=lambda text: f" {text}" if text else "",
        judged='a space and the text given the turns, "A: …" or "B: …" a line, and "B:"',
    ),
    "translation": TaskKind(
        title="Translation",
        build=translation.build,
        add_special_tokens=True,
        goes_on=False,
        stop_at_newline=True,
        judge_context=lambda row: "",  # fluency of the target sentence by itself
        judge_text=lambda text: text,
        judged="text alone",
    ),
    "rl": TaskKind(
        title="Acting",
        build=rl.build,
        add_special_tokens=False,  # a prompt is control tokens
        goes_on=False,
        stop_at_newline=False,
        judge_context=lambda row: "",
        judge_text=lambda text: text,
        people="optimal policy",
        world=rl.world_of,
    ),
    "images": TaskKind(
        title="Images",
        build=images.build,
        add_special_tokens=False,  # the prompt is a control token
        goes_on=False,
        stop_at_newline=False,
        judge_context=lambda row: row["prompt"],
        judge_text=lambda text: text,
        people="real images",
        embeds="pixels",
        shown_as="pixels",
        bits=True,
    ),
}
