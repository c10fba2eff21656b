"""Prepared rows: stable ids, prompts, and the lines that bad data ends with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline import prepare
from random_routing.errors import PipelineError
from random_routing.files import SEAL
from random_routing.models.shape import Shape
from random_routing.runs.tokenized import check_context, tokenize_prompts
from random_routing.settings import Asset, load_settings
from random_routing.tasks import TASK_KINDS, dialogue, textgen, translation
from random_routing.tasks.example_ids import Generator, in_stable_order
from tests.helpers import ROOT
from tests.helpers.tasks import GENERATOR, task
from tests.helpers.tiny import byte_tokenizer, tiny_embedder_folder, tiny_model_folder

SETTINGS = load_settings(ROOT / "params.yaml")
DATA = Asset("d", "data", ("file:x",), reader="records")


def records(folder: Path, *rows: dict[str, Any]) -> Path:
    (folder / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


# Ids and order

TEXTS = [{"text": f"text number {i}, which goes on"} for i in range(40)]


def test_more_examples_only_append() -> None:
    few = textgen.build(TEXTS, task("textgen", examples=5), GENERATOR)
    many = textgen.build(reversed(TEXTS), task("textgen", examples=30), GENERATOR)
    assert (len(few), len(many)) == (5, 30) and many[:5] == few
    assert len({row["id"] for row in many}) == 30


def test_more_data_keeps_ids() -> None:
    half = {row["id"]: row for row in textgen.build(TEXTS[:20], task("textgen", examples=40), GENERATOR)}
    whole = {row["id"]: row for row in textgen.build(TEXTS, task("textgen", examples=40), GENERATOR)}
    assert len(half) == 20 and half.items() <= whole.items()


def test_duplicates_are_dropped() -> None:
    assert len(in_stable_order(("a", {"n": n}) for n in range(3))) == 1
    assert len(textgen.build([TEXTS[0]] * 3, task("textgen"), GENERATOR)) == 1


# The tasks


def test_textgen_prompt_and_reference_continue_each_other() -> None:
    """One token a byte: five bytes of prompt, four of reference; é has two."""
    (row,) = textgen.build([{"text": "abcdefghijklm"}], task("textgen"), GENERATOR)
    assert (row["prompt"], row["source"], row["references"]) == ("abcde", "abcde", ["fghi"])
    (row,) = textgen.build([{"text": "abcéfghijk"}], task("textgen"), GENERATOR)
    assert (row["prompt"], row["references"]) == ("abcé", ["fghi"])


def test_textgen_leaves_short_texts_out() -> None:
    assert textgen.build([{"text": "12345678"}], task("textgen"), GENERATOR) == []
    assert len(textgen.build([{"text": "123456789"}], task("textgen"), GENERATOR)) == 1


def test_dialogue_ends_with_the_user() -> None:
    record = {"context": ["one", "two", "three"], "reply": "four"}
    (row,) = dialogue.build([record], task("dialogue", turns=3), GENERATOR)
    assert row["prompt"] == "<|user|>one</s><|assistant|>two</s><|user|>three</s><|assistant|>"
    assert row["source"] == "A: one\nB: two\nA: three"
    assert (row["references"], row["meta"]) == (["four"], {"turns": ["one", "two", "three"]})
    two = {"context": ["one", "two"], "reply": "three"}
    (row,) = dialogue.build([two], task("dialogue", turns=2), GENERATOR)
    assert row["prompt"] == "<|assistant|>one</s><|user|>two</s><|assistant|>"


PAIRS = [
    {"source": "ein langer Satz", "references": ["a long sentence"]},
    {"source": "Haus", "references": ["house"]},
    {"source": "noch ein langer Satz", "references": ["another long sentence"]},
]


def test_translation_shows_the_shortest_pair_and_never_tests_it() -> None:
    rows = translation.build(PAIRS, task("translation", shots=1, examples=5), GENERATOR)
    assert {row["source"] for row in rows} == {"ein langer Satz", "noch ein langer Satz"}
    (row,) = (row for row in rows if row["source"] == "ein langer Satz")
    assert row["prompt"] == "German: Haus\nEnglish: house\n\nGerman: ein langer Satz\nEnglish:"
    assert row["references"] == ["a long sentence"]


def test_translation_names_an_unknown_language_by_its_code() -> None:
    rows = translation.build(PAIRS, task("translation", shots=0, source_language="tlh"), GENERATOR)
    assert rows[0]["prompt"] == f"tlh: {rows[0]['source']}\nEnglish:"


def test_encoder_decoder_gets_the_sentence_alone() -> None:
    generator = Generator("marian", byte_tokenizer(), is_encoder_decoder=True)
    rows = translation.build(PAIRS, task("translation", examples=3), generator)
    assert len(rows) == 3 and all(row["prompt"] == row["source"] for row in rows)


# Bad input


def test_no_chat_template_is_named() -> None:
    generator = Generator("base", byte_tokenizer(chat=False))
    with pytest.raises(PipelineError, match=r"^data/assets/base: its tokenizer has no chat template"):
        dialogue.build([], task("dialogue"), generator)


def test_a_chat_template_that_refuses_is_named() -> None:
    generator = Generator("strict", byte_tokenizer())
    generator.tokenizer.chat_template = "{{ raise_exception('must start with the user') }}"
    record = {"context": ["one", "two"], "reply": "three"}
    with pytest.raises(PipelineError, match=r"data/assets/strict.*must start with the user"):
        dialogue.build([record], task("dialogue", turns=2), generator)


def test_too_few_examples_says_how_many_there_are(tmp_path: Path) -> None:
    folder = records(tmp_path, *TEXTS)
    with pytest.raises(PipelineError, match=r"tasks\.textgen\.examples = 41: d yields at most 40"):
        prepare.prepare(task("textgen", data="d", examples=41), DATA, GENERATOR, folder)


def test_too_long_a_prompt_is_named_with_its_numbers() -> None:
    """<s> and five bytes are six tokens; with four new ones they need a context of ten."""
    rows = textgen.build(TEXTS, task("textgen"), GENERATOR)
    examples = tokenize_prompts(rows, GENERATOR.tokenizer, special=True)
    check_context("here", examples, task("textgen"), Shape(10, 300, 2, 2))
    with pytest.raises(
        PipelineError,
        match=rf"example {rows[0]['id']} has 6 prompt .* = 4 that exceeds the context of \w+, 9",
    ):
        check_context("here", examples, task("textgen"), Shape(9, 300, 2, 2))


def test_the_chat_template_brings_its_own_special_tokens() -> None:
    assert [TASK_KINDS[name].add_special_tokens for name in ("textgen", "dialogue", "translation")] == [
        True, False, True,
    ]  # fmt: skip
    assert [name for name, kind in TASK_KINDS.items() if kind.stop_at_newline] == ["translation"]


def test_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing asset is named with the command that mends it; with both there, the same bytes twice."""
    monkeypatch.chdir(tmp_path)
    small = re.sub(r"examples: \d+", "examples: 3", (ROOT / "params.yaml").read_text())
    Path("params.yaml").write_text(small)
    with pytest.raises(PipelineError, match=r"^data/assets/sotu: missing; run dvc repro fetch@sotu$"):
        prepare.main(["textgen"])
    Path("data/assets/sotu").mkdir(parents=True)
    Path("data/assets/sotu/a.txt").write_text("\n\n".join(f"{i} " + "word " * 130 for i in range(4)))
    with pytest.raises(PipelineError, match=r"^data/assets/smollm2: missing"):
        prepare.main(["textgen"])
    tiny_model_folder(Path("data/assets/smollm2"))
    tiny_model_folder(Path("data/assets/gemma3"), seed=1)
    tiny_embedder_folder(Path("data/assets/minilm"))
    prepare.main(["textgen"])
    first = Path("data/prepared/textgen.jsonl").read_bytes()
    prepare.main(["textgen"])
    assert Path("data/prepared/textgen.jsonl").read_bytes() == first
    assert "prepare: textgen: 3 examples in data/prepared/textgen.jsonl" in capsys.readouterr().out
    assert set(json.loads(first.splitlines()[0])) == {"id", "prompt", "source", "references", "meta"}
    assert SEAL in json.loads(first.splitlines()[0])["meta"]
