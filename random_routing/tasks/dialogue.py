"""Dialogue: answer the last turn, through the model's chat template."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from random_routing.errors import PipelineError
from random_routing.models.tokens import encode_template
from random_routing.settings import Task
from random_routing.tasks.chat_template import chat_prompt
from random_routing.tasks.example_ids import CONTROL, Generator, in_stable_order
from random_routing.tasks.usable_records import LeftOut, Record, usable


def build(
    records: Iterable[Record], task: Task, generator: Generator, left: LeftOut | None = None
) -> list[dict[str, Any]]:
    """records: {context: [turn, …], reply}, and `system` where the model is given instructions; contexts of another
    number of turns are left out.
    """
    left = left or LeftOut()
    if not generator.tokenizer.chat_template:
        raise PipelineError(
            f"data/assets/{generator.name}: its tokenizer has no chat template; "
            "tasks.dialogue.model must be an instruction model that has one"
        )
    usable_records = usable(records, {"context": list, "reply": str}, left)
    rows: list[dict[str, Any]] = []
    for id_, record in in_stable_order(((content(record), record) for record in usable_records), left):
        if len(rows) == task.examples:
            break
        turns, reply, system = record["context"], record["reply"], record.get("system", "")
        if len(turns) != task.turns:
            left.add(f"of another number of turns than {task.turns}", record, "context", turns)
            continue
        if generator.cannot_spell([system, *turns, reply]):
            left.add(CONTROL, record, "context", turns)
            continue
        prompt, as_text = chat_prompt(generator, messages(turns, system), task)
        if generator.cannot_take(encode_template(generator.tokenizer, prompt, as_text)):
            left.add(generator.too_long(task), record, "context", turns)
            continue
        spoken = [f"{speaker(i, turns)}: {turn}" for i, turn in enumerate(turns)]
        rows.append(
            {
                "id": id_,
                "prompt": prompt,
                "source": "\n".join([f"System: {system}"] * bool(system) + spoken),
                "references": [reply],
                "meta": {"turns": turns, **({"as_text": as_text} if as_text else {})},
            }
        )
    return rows


def content(record: Record) -> list[Any]:
    """What tells a record from others: its turns, and instructions where it has them."""
    return [*filter(None, [record.get("system")]), record["context"], record["reply"]]


def speaker(index: int, turns: list[str]) -> str:
    """A speaks last, so that B, the model, answers."""
    return "A" if (len(turns) - 1 - index) % 2 == 0 else "B"


def messages(turns: list[str], system: str = "") -> list[dict[str, str]]:
    """Chat messages that end with the user's; an even number of turns opens with the assistant's."""
    role = {"A": "user", "B": "assistant"}
    instructions = [{"role": "system", "content": system}] if system else []
    return instructions + [
        {"role": role[speaker(i, turns)], "content": turn} for i, turn in enumerate(turns)
    ]
