"""Continuations, for every kind of tokenizer: decode(prompt + ids) minus decode(prompt)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from random_routing.models.tokens import continuation, decode_text, encode_after, pieces, token_ends
from tests.helpers.tiny import byte_tokenizer, metaspace_tokenizer, wordpiece_tokenizer

TOKENIZERS: dict[str, Any] = {
    "bytes": byte_tokenizer(),
    "llama": metaspace_tokenizer("llama"),
    "metaspace": metaspace_tokenizer("metaspace"),
    "wordpiece": wordpiece_tokenizer(),
}
KINDS = pytest.mark.parametrize("kind", TOKENIZERS)


def ids_of(tokenizer: Any, *tokens: str) -> list[int]:
    found = tokenizer.convert_tokens_to_ids(list(tokens))
    assert None not in found
    return list(found)


@KINDS
@pytest.mark.parametrize("text", [" fell on the house.", "in the rain", " do not", "", " "])
def test_a_text_comes_back_as_it_follows_its_prompt(kind: str, text: str) -> None:
    """Its first space too, which Metaspace and WordPiece lose where they decode the ids alone."""
    if kind == "wordpiece" and text == " ":
        pytest.skip("a space by itself is no token there")
    tokenizer = TOKENIZERS[kind]
    prompt = tokenizer("the rain")["input_ids"]
    (ids,) = encode_after(tokenizer, ["the rain"], [text])
    assert continuation(tokenizer, prompt, ids) == text
    assert "".join(pieces(tokenizer, prompt, ids)) == text


@pytest.mark.parametrize(
    ("kind", "tokens", "alone", "after"),
    [
        ("llama", ["▁rain", "▁fell"], "rain fell", " rain fell"),
        ("metaspace", ["▁rain", "▁fell"], "rain fell", " rain fell"),
        ("wordpiece", ["rain", "fell", "."], "rain fell.", " rain fell."),
        ("wordpiece", ["##in", "rain"], "##in rain", "in rain"),
        ("bytes", ["Ġ", "r"], " r", " r"),
    ],
)
def test_where_the_ids_alone_say_something_else(
    kind: str, tokens: list[str], alone: str, after: str
) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = ids_of(tokenizer, *tokens)
    assert tokenizer.decode(ids) == alone
    assert continuation(tokenizer, tokenizer("the")["input_ids"], ids) == after
    assert continuation(tokenizer, [], ids) == alone  # a document's beginning, and a decoder's of two parts


def test_spaces_are_not_cleaned_up() -> None:
    """transformers' clean-up of a whole text reaches over the border, and so changes the prompt: "do n" is no more."""
    tokenizer = TOKENIZERS["wordpiece"]
    assert tokenizer.clean_up_tokenization_spaces
    prompt, ids = ids_of(tokenizer, "do", "n"), ids_of(tokenizer, "'", "t")
    assert (tokenizer.decode(prompt), tokenizer.decode(prompt + ids)) == ("do n", "don't")
    assert continuation(tokenizer, prompt, ids) == " ' t"


def test_half_a_character_at_either_end() -> None:
    """漢 is E6 BC A2, é is C3 A9."""
    tokenizer = TOKENIZERS["bytes"]
    whole = tokenizer("a漢é", add_special_tokens=False)["input_ids"]
    assert len(whole) == 6
    assert continuation(tokenizer, whole[:2], whole[2:]) == "漢é"  # the prompt ends in E6
    assert continuation(tokenizer, whole[:3], whole[3:]) == "漢é"
    assert continuation(tokenizer, whole[:4], whole[4:]) == "é"
    assert continuation(tokenizer, whole[:1], whole[1:5]) == "漢\ufffd"  # the text ends in C3
    letter = tokenizer("b", add_special_tokens=False)["input_ids"]
    assert continuation(tokenizer, whole[:2], letter) == "b"  # E6 alone stays the prompt's
    real = tokenizer("\ufffd", add_special_tokens=False)[
        "input_ids"
    ]  # a character that looks broken and is not
    assert continuation(tokenizer, [*real, *whole[4:5]], whole[5:]) == "é"


def test_byte_fallback() -> None:
    """A character's bytes are decoded together, and one wrong byte breaks those before it."""
    tokenizer = TOKENIZERS["llama"]
    prompt = tokenizer("the é")["input_ids"]
    assert decode_text(tokenizer, prompt) == "the é"
    wrong = ids_of(tokenizer, "<0xFF>")
    assert decode_text(tokenizer, prompt + wrong) == "the \ufffd\ufffd\ufffd"  # é is gone
    assert continuation(tokenizer, prompt, wrong) == "\ufffd"
    half, rest = ids_of(tokenizer, "▁the", "<0xE6>"), ids_of(tokenizer, "<0xBC>", "<0xA2>")
    assert continuation(tokenizer, half, rest) == "漢"


def test_control_tokens_are_no_text() -> None:
    tokenizer = TOKENIZERS["llama"]
    prompt = ids_of(tokenizer, *["▁the", "<|user|>"], *["<|assistant|>"] * 20)  # more than a window holds
    assert continuation(tokenizer, prompt, ids_of(tokenizer, "▁rain", "</s>")) == " rain"
    assert pieces(tokenizer, prompt, ids_of(tokenizer, "▁rain", "</s>")) == [" rain", ""]
    assert (
        continuation(tokenizer, prompt[1:], ids_of(tokenizer, "▁rain")) == "rain"
    )  # nothing was said before


@KINDS
@given(data=st.data())
def test_the_definition_and_the_pieces(kind: str, data: st.DataObject) -> None:
    """Any ids, also those that spell no text: the window sees as much as the whole prompt."""
    tokenizer = TOKENIZERS[kind]
    token = st.integers(0, len(tokenizer) - 1)
    prompt = (
        data.draw(st.lists(token, max_size=24))
        + tokenizer("the rain", add_special_tokens=False)["input_ids"]
    )
    ids = data.draw(st.lists(token, max_size=50))
    text = continuation(tokenizer, prompt, ids)
    before, whole = decode_text(tokenizer, prompt), decode_text(tokenizer, prompt + ids)
    if whole.startswith(before):
        assert text == whole[len(before) :]
    ends = token_ends(tokenizer, prompt, ids)
    assert (
        len(ends) == len(ids) and (np.diff(ends) >= 0).all() and list(ends[-1:]) == [len(text)][: len(ids)]
    )
    assert "".join(pieces(tokenizer, prompt, ids)) == text


def test_a_character_is_its_last_tokens() -> None:
    tokenizer = TOKENIZERS["bytes"]
    ids = tokenizer("aé 漢b", add_special_tokens=False)["input_ids"]
    assert token_ends(tokenizer, [], [*ids, 2]).tolist() == [
        1,
        1,
        2,
        3,
        3,
        3,
        4,
        5,
        5,
    ]  # </s> has no characters
    broken = ids_of(tokenizer, "a", "æ", "b", "Ã")  # bytes E6 and C3 by themselves
    assert pieces(tokenizer, [], broken) == ["a", "\ufffd", "b", "\ufffd"]
    assert pieces(tokenizer, [], [*ids_of(tokenizer, "a"), *ids] * 20)[-9:] == [
        "a",
        "a",
        "",
        "é",
        " ",
        "",
        "",
        "漢",
        "b",
    ]


def test_a_reference_is_encoded_as_it_follows_its_prompt() -> None:
    """By itself " rain" begins with two ▁ in Llama's tokenizer: one of the space, one of a document's beginning."""
    tokenizer = TOKENIZERS["llama"]
    alone = tokenizer(" rain", add_special_tokens=False)["input_ids"]
    assert alone == ids_of(tokenizer, "▁", "▁rain")
    assert encode_after(tokenizer, ["the", "the "], [" rain", "rain"]) == [
        ids_of(tokenizer, "▁rain"),
        ids_of(tokenizer, "▁rain"),
    ]
    spelt = encode_after(TOKENIZERS["bytes"], ["a"], [" </s>"])[0]
    assert len(spelt) == 5 and TOKENIZERS["bytes"].eos_token_id not in spelt  # text, not a control token
