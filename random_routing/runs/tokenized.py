"""Prompts as token ids, and the lengths that they are padded to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from random_routing.errors import PipelineError
from random_routing.models.shape import Shape
from random_routing.models.tokens import encode_as_text, encode_template
from random_routing.settings import Task

Item = TypeVar("Item")


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
    """Raises `PipelineError` naming `where` for a prompt that leaves no room for its text, or has ids beyond the
    model's embedding."""
    for example in examples:
        if max(example.prompt, default=0) >= shape.inputs:
            raise PipelineError(
                f"{where}: example {example.id} has the token id {max(example.prompt)}; the embedding of {task.model} "
                f"has {shape.inputs} rows"
            )
    longest = max(examples, key=lambda example: len(example.prompt))
    if (
        len(longest.prompt) > prompt_room(task, shape)
        or task.max_new_tokens + len(shape.decoder_start) > shape.context
    ):
        raise PipelineError(
            f"{where}: example {longest.id} has {len(longest.prompt)} prompt tokens; with max_new_tokens = "
            f"{task.max_new_tokens} that exceeds the context of {task.model}, {shape.context}"
        )


def shared_prefix(examples: list[Example], shape: Shape) -> tuple[int, ...]:
    """The beginning that all prompts share, such as in-context pairs; its cache is computed once.

    A multiple of 16, so that another example seldom changes it; each prompt keeps a token of its
    own. None for an encoder, whose states all depend on each other, nor for a server, which keeps what it has read.
    """
    if shape.is_encoder_decoder or shape.served:
        return ()
    prompts = [example.prompt for example in examples]
    first, last = min(prompts), max(prompts)  # in lexical order: what these two share, all share
    shortest = min(len(prompt) for prompt in prompts)
    common = next((i for i in range(shortest - 1) if first[i] != last[i]), shortest - 1)
    return first[: common // 16 * 16]


def padded_length(tokens: int) -> int:
    """The next multiple of 16. A prompt's own length decides, so that no other prompt can change its texts' bits;
    prompts of one padded length run together.
    """
    return -(-tokens // 16) * 16


def by_padded_length(items: Iterable[Item], tokens: Callable[[Item], int]) -> list[list[Item]]:
    """The items in groups that may run together, the shortest first. tokens: of an item's prompt."""
    groups: dict[int, list[Item]] = {}
    for item in items:
        groups.setdefault(padded_length(tokens(item)), []).append(item)
    return [groups[length] for length in sorted(groups)]
