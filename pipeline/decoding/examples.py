"""Prompts as token ids, and the length that they are padded to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.checks import PipelineError
from pipeline.decoding.network import Shape
from pipeline.decoding.tokens import encode_as_text, encode_template
from pipeline.settings import Task


@dataclass(frozen=True)
class Example:
    id: str
    prompt: tuple[int, ...]  # token ids


def tokenize_prompts(rows: list[dict[str, Any]], tokenizer: Any, special: bool) -> list[Example]:
    """Rows of `data/prepared/<task>.jsonl` as examples.

    special: prompts are text, and the tokenizer's own beginning is added; else a chat template has made them, with
    control tokens, and `meta` says which parts (`as_text`) are none.
    """
    if special:
        ids = encode_as_text(tokenizer, [row["prompt"] for row in rows])["input_ids"]
    else:
        ids = [encode_template(tokenizer, row["prompt"], row["meta"].get("as_text", ())) for row in rows]
    return [Example(row["id"], tuple(prompt)) for row, prompt in zip(rows, ids, strict=True)]


def prompt_room(task: Task, shape: Shape) -> int:
    """Tokens of a prompt that the context holds, with a decoder's new tokens after them."""
    return shape.context if shape.is_encoder_decoder else shape.context - task.max_new_tokens


def check_context(where: str, examples: list[Example], task: Task, shape: Shape) -> None:
    """Raises `PipelineError` naming `where` for a prompt that leaves no room for its text."""
    longest = max(examples, key=lambda example: len(example.prompt))
    if (
        len(longest.prompt) > prompt_room(task, shape)
        or task.max_new_tokens + len(shape.decoder_start) > shape.context
    ):
        raise PipelineError(
            f"{where}: example {longest.id} has {len(longest.prompt)} prompt tokens; with max_new_tokens = "
            f"{task.max_new_tokens} that exceeds the context of {task.model}, {shape.context}"
        )


def shared_prefix(examples: list[Example], task: Task, shape: Shape) -> tuple[int, ...]:
    """The beginning that all prompts share, such as in-context pairs; its cache is computed once.

    A multiple of 16, so that another example seldom changes it; each prompt keeps a token of its
    own. None where a sliding window would count the padding that follows the prefix.
    """
    prompts = [example.prompt for example in examples]
    first, last = min(prompts), max(prompts)  # in lexical order: what these two share, all share
    shortest = min(len(prompt) for prompt in prompts)
    common = next((i for i in range(shortest - 1) if first[i] != last[i]), shortest - 1)
    longest = padded_length(max(len(prompt) for prompt in prompts)) + task.max_new_tokens
    if shape.is_encoder_decoder or 0 < shape.window < longest + 16:
        return ()
    return first[: common // 16 * 16]


def padded_length(longest: int) -> int:
    """The next multiple of 16: adding a slightly longer prompt seldom changes it."""
    return -(-longest // 16) * 16
