"""The tasks: a literal table from a task's name to what is particular to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.settings import Task
from pipeline.tasks import dialogue, textgen, translation
from pipeline.tasks.usable import LeftOut


@dataclass(frozen=True)
class TaskKind:
    """build(records, task, generator, left) gives prepared rows in an order that more examples only extend, and
    counts in `left` the records that it leaves out.

    judge_context(row): what the judge reads before a text; judge_text(text): the text as it follows;
    judged: what is judged, in words.
    """

    build: Callable[[Iterable[dict[str, Any]], Task, Any, LeftOut], list[dict[str, Any]]]
    add_special_tokens: bool  # whether the tokenizer's own beginning goes before the prompt
    stop_at_newline: bool
    judge_context: Callable[[dict[str, Any]], str]
    judge_text: Callable[[str], str]
    judged: str = "text given its context"


TASKS = {
    "textgen": TaskKind(
        build=textgen.build,
        add_special_tokens=True,
        stop_at_newline=False,
        judge_context=lambda row: row["prompt"],
        judge_text=lambda text: text,
    ),
    "dialogue": TaskKind(
        build=dialogue.build,
        add_special_tokens=False,  # the chat template holds them
        stop_at_newline=False,
        judge_context=lambda row: f"{row['source']}\nB:",
        judge_text=lambda text: f" {text}" if text else "",
    ),
    "translation": TaskKind(
        build=translation.build,
        add_special_tokens=True,
        stop_at_newline=True,
        judge_context=lambda row: "",  # fluency of the target sentence by itself
        judge_text=lambda text: text,
        judged="text alone",
    ),
}
