"""Prompts as token ids, and the length that they are padded to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.checks import PipelineError
from pipeline.settings import Task


@dataclass(frozen=True)
class Example:
    id: str
    prompt: tuple[int, ...]  # token ids


def tokenize_prompts(rows: list[dict[str, Any]], tokenizer: Any, special: bool) -> list[Example]:
    """Rows of `data/prepared/<task>.jsonl` as examples; special: add the tokenizer's own beginning."""
    ids = tokenizer([row["prompt"] for row in rows], add_special_tokens=special)["input_ids"]
    return [Example(row["id"], tuple(prompt)) for row, prompt in zip(rows, ids, strict=True)]


def check_context(where: str, examples: list[Example], task: Task, context: int) -> None:
    """Raises `PipelineError` naming `where` for a prompt that leaves no room for its text."""
    longest = max(examples, key=lambda example: len(example.prompt))
    if len(longest.prompt) + task.max_new_tokens > context:
        raise PipelineError(
            f"{where}: example {longest.id} has {len(longest.prompt)} prompt tokens; with max_new_tokens = "
            f"{task.max_new_tokens} that exceeds the context of {task.model}, {context}"
        )


def padded_length(longest: int) -> int:
    """The next multiple of 16: adding a slightly longer prompt seldom changes it."""
    return -(-longest // 16) * 16
