"""The text of a row, for tasks and tokenizers of every kind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from random_routing.decode.trajectory import Trajectory
from random_routing.runs.packed_texts import cell_row
from random_routing.runs.tokenized import Example
from random_routing.scoring.cell_texts import human_texts
from random_routing.settings import parse_settings
from tests.helpers.tiny import byte_tokenizer, metaspace_tokenizer, wordpiece_tokenizer
from tests.helpers.workspace import params

TASKS = parse_settings(params()).tasks


def text_of(tokenizer: Any, task: str, prompt: str, *tokens: str, encoder: bool = False) -> str:
    ids = tokenizer.convert_tokens_to_ids(list(tokens))
    example = Example("e", tuple(tokenizer(prompt)["input_ids"]))
    nothing = np.zeros(len(ids), dtype=np.float32)
    made = Trajectory(np.array(ids), nothing, nothing, nothing, nothing, nothing, ended=False)
    plan: Any = SimpleNamespace(task=TASKS[task], before=lambda e: () if encoder else e.prompt)
    text: Any = SimpleNamespace(example=example, sample=0)
    row = cell_row(text, made, tokenizer, plan)
    assert row["token_ids"] == ids
    return str(row["text"])


@pytest.mark.parametrize("style", ["llama", "metaspace"])
def test_the_first_space_of_a_text_that_goes_on(style: str) -> None:
    tokenizer = metaspace_tokenizer(style)
    assert text_of(tokenizer, "textgen", "the", "▁rain", "▁fell") == " rain fell"
    assert text_of(tokenizer, "textgen", "the", "in") == "in"  # goes on in the word
    for task in ("dialogue", "translation"):
        assert text_of(tokenizer, task, "the", "▁rain", "▁fell") == "rain fell"  # stripped on both sides
    assert text_of(tokenizer, "translation", "the", "▁rain", "▁fell", encoder=True) == "rain fell"


def test_pieces_of_words() -> None:
    tokenizer = wordpiece_tokenizer()
    assert text_of(tokenizer, "textgen", "the", "rain", ".") == " rain."
    assert text_of(tokenizer, "textgen", "the rain", "##in", "fell") == "in fell"
    assert text_of(tokenizer, "translation", "the rain", "##in", "fell") == "in fell"


def test_a_translation_ends_at_the_newline() -> None:
    assert text_of(byte_tokenizer(), "translation", "a", "Ġ", "b", "Ċ", "c") == "b"
    assert text_of(byte_tokenizer(), "textgen", "a", "Ġ", "b", "Ċ", "c") == " b\nc"


@pytest.mark.parametrize("tokenizer", [metaspace_tokenizer(), byte_tokenizer()], ids=["metaspace", "bytes"])
def test_people_and_decoders_write_the_same_tokens(tokenizer: Any) -> None:
    """The reference " rain fell" after "the": what a decoder writes that says the same."""
    rows = [{"prompt": "the", "source": "the", "references": [" rain fell"], "meta": {}}]
    human = human_texts(TASKS["textgen"], rows, tokenizer, np.zeros(1))
    tokens = tokenizer.convert_ids_to_tokens(list(human.token_ids[0]))
    assert tokens == (["▁rain", "▁fell"] if "▁" in tokens[0] else list("ĠrainĠfell"))
    assert text_of(tokenizer, "textgen", "the", *tokens) == " rain fell" == human.texts[0]
