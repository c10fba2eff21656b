"""The beginning that a judge reads before everything that begins a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from random_routing.errors import PipelineError
from random_routing.models.tokens import encode_as_text
from random_routing.tasks.chat_template import chat_prompt
from random_routing.tasks.example_ids import Generator

PROBE = "Where is it?"
# Pre-training puts these between documents, whatever a chat template uses them for.
TEXT_ENDS = ("<|endoftext|>", "<|end_of_text|>")
NONE = "none, a text without context begins with a token that is not scored"


@dataclass(frozen=True)
class Opening:
    """before, after: token ids around each context; name: as signatures say it."""

    before: tuple[int, ...]
    name: str
    after: tuple[int, ...] = ()


def opening_of(tokenizer: Any, name: str, is_encoder_decoder: bool = False) -> Opening:
    """What bounds documents for this judge: the first of the beginning that its tokenizer adds by itself, `bos`, `eos`
    and a known end of text that is no chat marker. Where there is none a text by itself has no first probability.

    An encoder–decoder model scores the first token after its decoder's start: its encoder reads the context as its
    tokenizer makes it. name: the judge's.
    """
    before, after = own_tokens(tokenizer)
    if is_encoder_decoder:
        return Opening(before, "the decoder's start", after)
    markers = chat_markers(tokenizer, name)
    for ids in (before, (tokenizer.bos_token_id,), (tokenizer.eos_token_id,)):
        if ids and None not in ids and markers.isdisjoint(ids):
            return _named(tokenizer, ids)
    vocabulary = tokenizer.get_vocab()
    known = next((vocabulary[token] for token in TEXT_ENDS if token in vocabulary), None)
    return Opening((), NONE) if known is None else _named(tokenizer, (known,))


def own_tokens(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The token ids that a tokenizer puts before and after a text by itself."""
    plain = tuple(encode_as_text(tokenizer, [PROBE], add_special_tokens=False)["input_ids"][0])
    whole = tuple(encode_as_text(tokenizer, [PROBE])["input_ids"][0])
    starts = (i for i in range(len(whole) - len(plain) + 1) if whole[i : i + len(plain)] == plain)
    start = next(starts, None)
    return ((), ()) if start is None else (whole[:start], whole[start + len(plain) :])


def chat_markers(tokenizer: Any, name: str) -> set[int]:
    """The control tokens that a chat template puts between a question and its answer, where no document ends.

    Those that its source spells, where it cannot be rendered.
    """
    if not tokenizer.chat_template:
        return set()
    judge = Generator(name, tokenizer)
    try:
        rendered = chat_prompt(judge, [{"role": "user", "content": PROBE}])[0]
        spelt = rendered.rpartition(PROBE)[2]
    except PipelineError:
        spelt = str(tokenizer.chat_template)
    return {int(tokenizer.convert_tokens_to_ids(token)) for token in judge.control_tokens if token in spelt}


def _named(tokenizer: Any, ids: Sequence[int]) -> Opening:
    return Opening(tuple(ids), "".join(map(str, tokenizer.convert_ids_to_tokens(list(ids)))))
