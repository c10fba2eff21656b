"""Dialogue: answer the last turn, through the model's chat template."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.checks import PipelineError
from pipeline.settings import Task
from pipeline.tasks.examples import Generator, field, in_stable_order
from pipeline.tasks.template import chat_prompt


def build(records: Iterable[dict[str, Any]], task: Task, generator: Generator) -> list[dict[str, Any]]:
    """records: {context: [turn, …], reply}; contexts of another number of turns are left out."""
    if not generator.tokenizer.chat_template:
        raise PipelineError(
            f"data/assets/{generator.name}: its tokenizer has no chat template; "
            "tasks.dialogue.model must be an instruction model that has one"
        )
    pairs = ((field(r, "context", list), field(r, "reply", str)) for r in records)
    ordered = in_stable_order(
        ([context, reply], {"context": context, "reply": reply}) for context, reply in pairs
    )
    rows: list[dict[str, Any]] = []
    for id_, record in ordered:
        if len(rows) == task.examples:
            break
        turns, reply = record["context"], record["reply"]
        if len(turns) != task.turns or generator.cannot_spell([*turns, reply]):
            continue
        prompt, as_text = chat_prompt(generator, messages(turns), task)
        rows.append(
            {
                "id": id_,
                "prompt": prompt,
                "source": "\n".join(f"{speaker(i, turns)}: {turn}" for i, turn in enumerate(turns)),
                "references": [reply],
                "meta": {"turns": turns, **({"as_text": as_text} if as_text else {})},
            }
        )
    return rows


def speaker(index: int, turns: list[str]) -> str:
    """A speaks last, so that B, the model, answers."""
    return "A" if (len(turns) - 1 - index) % 2 == 0 else "B"


def messages(turns: list[str]) -> list[dict[str, str]]:
    """Chat messages that end with the user's; an even number of turns opens with the assistant's."""
    role = {"A": "user", "B": "assistant"}
    return [{"role": role[speaker(i, turns)], "content": turn} for i, turn in enumerate(turns)]
