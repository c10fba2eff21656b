"""Texts that nobody vouches for → token ids: what they spell is text, never a control token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def encode_as_text(tokenizer: Any, texts: Sequence[str], **options: Any) -> Any:
    """As the tokenizer's own call, but "</s>" in a text is four characters.

    What the tokenizer adds by itself (a beginning) stays a control token.
    """
    return tokenizer(list(texts), split_special_tokens=True, **options)


def encode_template(tokenizer: Any, prompt: str, as_text: Sequence[Sequence[int]]) -> list[int]:
    """Token ids of a prompt that a chat template made, with the template's control tokens.

    as_text: (start, end) of the parts, in order, that come from texts and spell control tokens.
    """
    ids: list[int] = []
    place = 0
    for start, end in [*as_text, (len(prompt), len(prompt))]:
        ids += tokenizer(prompt[place:start], add_special_tokens=False)["input_ids"]
        ids += encode_as_text(tokenizer, [prompt[start:end]], add_special_tokens=False)["input_ids"][0]
        place = end
    return ids
