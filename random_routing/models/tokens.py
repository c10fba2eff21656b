"""Token ids and texts: what a text spells is text, never a control token; what ids say depends on the ids before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

BROKEN = "\ufffd"  # what tokenizers write for bytes that are no UTF-8, or not yet
SEEN = 16  # tokens before a text that say how it begins: more than a character has


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


def encode_after(tokenizer: Any, prompts: Sequence[str], texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text as it goes on after its prompt: those of both together that end in the text.

    By itself a text would begin with what some tokenizers put before a document, such as a second space.
    """
    both = [prompt + text for prompt, text in zip(prompts, texts, strict=True)]
    encoded = encode_as_text(tokenizer, both, add_special_tokens=False, return_offsets_mapping=True)
    return [
        [token for token, (_, end) in zip(ids, offsets, strict=True) if end > len(prompt)]
        for prompt, ids, offsets in zip(
            prompts, encoded["input_ids"], encoded["offset_mapping"], strict=True
        )
    ]


def decode_text(tokenizer: Any, ids: Sequence[int]) -> str:
    """As it is spelt: without control tokens, and without a space taken away before a full stop."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def continuation(tokenizer: Any, prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
    """decode(prompt + ids) minus decode(prompt): a first space stays, and so does what completes a character.

    Some decoders drop the first space of whatever they are given (Metaspace), others begin every text with ## where
    it goes on in a word (WordPiece).
    """
    tail = list(prompt_ids[-SEEN:])
    before = decode_text(tokenizer, tail)
    if not before:  # nothing but control tokens
        tail = list(prompt_ids)
        before = decode_text(tokenizer, tail)
    whole = decode_text(tokenizer, [*tail, *ids])
    differ = (i for i, (old, new) in enumerate(zip(before, whole, strict=False)) if old != new)
    known = next(differ, min(len(before), len(whole)))
    if known < len(before.rstrip(BROKEN)):  # byte fallback: a wrong byte breaks the character before it too
        return decode_text(tokenizer, ids)
    return whole[known:]


def token_ends(tokenizer: Any, prompt_ids: Sequence[int], ids: Sequence[int]) -> np.ndarray:
    """Characters of the continuation up to and including each token: (T,) int64, never falling.

    A character of several tokens is the last one's.
    """
    text = continuation(tokenizer, prompt_ids, ids)
    lengths, broken = _lengths(tokenizer, [*prompt_ids[-SEEN:], *ids], len(ids))
    # The first token may complete the prompt's last character.
    lengths += len(text) - lengths[-1] if len(ids) else 0
    part = [b and text[n - 1 : n] != BROKEN for n, b in zip(lengths, broken, strict=True)]  # of a character
    return np.maximum.accumulate(np.clip(np.where(part, 0, lengths), 0, len(text)))


def _lengths(tokenizer: Any, known: Sequence[int], count: int) -> tuple[np.ndarray, np.ndarray]:
    """By how many characters the text has grown after each of the last `count` tokens, and whether it ends broken.

    Each (T,). A window goes along, so that the time grows with the number of tokens, not with its square.
    """
    first, start = len(known) - count, 0
    before = decode_text(tokenizer, known[:first])
    grown, broken = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=bool)
    for i in range(count):
        spelt = decode_text(tokenizer, known[start : first + i + 1])
        grown[i], broken[i] = len(spelt) - len(before), spelt.endswith(BROKEN)
        if first + i - start == 2 * SEEN:
            start += SEEN
            spelt = decode_text(tokenizer, known[start : first + i + 1])
        before = spelt
    return grown.cumsum(), broken


def pieces(tokenizer: Any, prompt_ids: Sequence[int], ids: Sequence[int]) -> list[str]:
    """The continuation, cut into what each token adds; "" for a control token and for a part of a character."""
    text = continuation(tokenizer, prompt_ids, ids)
    return [
        text[start:end] for start, end in pairwise([0, *token_ends(tokenizer, prompt_ids, ids).tolist()])
    ]
