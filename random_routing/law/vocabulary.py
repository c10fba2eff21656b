"""Which tokens a random route may draw, and which tokens end a text."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Vocabulary:
    """`allowed`: token ids of the sampling vocabulary, ascending; `stop`: ids that end a text."""

    size: int  # width of the model's logits
    allowed: np.ndarray
    stop: frozenset[int]


def stop_tokens(tokenizer: Any, generation_eos: int | list[int] | None, at_newline: bool) -> frozenset[int]:
    """End-of-text ids of the tokenizer and the model; with `at_newline` every token that holds one."""
    stop = {tokenizer.eos_token_id} if tokenizer.eos_token_id is not None else set()
    if generation_eos is not None:
        stop |= set(generation_eos) if isinstance(generation_eos, list) else {generation_eos}
    if at_newline:
        texts = tokenizer.batch_decode([[i] for i in range(len(tokenizer))])
        stop |= {i for i, text in enumerate(texts) if "\n" in text}
    return frozenset(int(token) for token in stop)


def sampling_vocabulary(
    tokenizer: Any,
    logits_width: int,
    stop: frozenset[int],
    include_eos: bool,
    barred: Collection[int] = (),
) -> Vocabulary:
    """Leaves out special tokens, padding ids beyond the tokenizer, `barred` ones and, unless
    `include_eos`, `stop`.

    Without that a random route would cut texts short by accident or write control tokens.
    """
    special = set(tokenizer.all_special_ids)
    special |= {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    left_out = ((special - stop) if include_eos else (special | stop)) | set(barred)
    ids = np.arange(min(len(tokenizer), logits_width), dtype=np.int64)
    return Vocabulary(logits_width, ids[~np.isin(ids, sorted(left_out))], stop)
