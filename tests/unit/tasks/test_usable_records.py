"""Records that a task can use, and how the others are counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import prepare
from random_routing.errors import PipelineError
from random_routing.settings import FAULT, ORIGIN, Asset, Task
from random_routing.tasks import textgen, translation
from random_routing.tasks.chat_records import exchange
from random_routing.tasks.example_ids import Generator
from random_routing.tasks.usable_records import LeftOut
from tests.helpers.tasks import GENERATOR, task
from tests.helpers.tiny import byte_tokenizer


def prepared(
    folder: Path, rows: list[Any], one: Task, room: int | None = None, **fields: Any
) -> tuple[list[dict[str, Any]], str]:
    """Rows, and what is said of records that are left out."""
    lines = [json.dumps(row | {ORIGIN: f"d.csv, row {i}"}) + "\n" for i, row in enumerate(rows, 1)]
    (folder / "records.jsonl").write_text("".join(lines))
    left = LeftOut(fields)
    asset = Asset("d", "data", ("file:x",), reader="records", fields=fields)
    generator = Generator("tiny", byte_tokenizer(), room=room)
    return prepare.prepare(one, asset, generator, folder, left), str(left)


GOOD = [{"german": f"Satz {i}", "english": f"sentence {i}"} for i in range(2)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"german": "", "english": "x"}, "1 whose source is empty (first: d.csv, row 3, column 'german', '')"),
        ({"german": None, "english": "x"}, "1 whose source is null (first: d.csv, row 3, column 'german', None)"),
        ({"english": "x"}, "1 whose source is missing (first: d.csv, row 3, column 'german')"),
        ({"german": ["x"], "english": "x"}, "1 whose source is no text (first: d.csv, row 3, column 'german', ['x'])"),
        ({"german": "x"}, "1 whose reference is missing (first: d.csv, row 3, column 'english')"),
        ({"german": "x", "english": " "}, "1 whose reference is empty (first: d.csv, row 3, column 'english', ' ')"),
        ({"german": "x", "english": []}, "1 whose reference is no text (first: d.csv, row 3, column 'english', [])"),
        ({"german": "x", "english": True},
         "1 whose reference is no text (first: d.csv, row 3, column 'english', True)"),
        ({"german": "x", "english": "a\nb"},
         "1 whose reference holds a line break (first: d.csv, row 3, column 'english', 'a\\nb')"),
        ({"german": "\ud800", "english": "x"},
         "1 whose source holds half a character (a lone surrogate) (first: d.csv, row 3, column 'german', '\\ud800')"),
        ({FAULT: "with more fields"}, "1 with more fields (first: d.csv, row 3)"),
        (GOOD[0], "1 equal to an earlier one (first: d.csv, row 3)"),
    ],
)  # fmt: skip
def test_a_bad_record_among_good_ones(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    """The others are used; file, row, column and value of the first are said, also where too few are left."""
    fields: dict[str, Any] = {"source": "german", "reference": "english"}
    rows, left = prepared(tmp_path, [*GOOD, row], task("translation", shots=0), **fields)
    assert {r["source"] for r in rows} == {"Satz 0", "Satz 1"} and left == f"records left out: {said}"
    with pytest.raises(PipelineError) as error:
        prepared(tmp_path, [*GOOD, row], task("translation", shots=0, examples=3, data="d"), **fields)
    allowed = "params.yaml: tasks.translation.examples = 3: d yields at most 2; records left out: "
    assert str(error.value) == allowed + said.replace("\ud800", "\\ud800")


def test_equal_sources_keep_all_references(tmp_path: Path) -> None:
    """One example with both, of the id that it has with one; the first of a source's references is the one shown."""
    rows = [
        {"source": "Tür offen", "references": ["Door open"]},
        {"source": "Tür offen", "references": ["The door is open"]},
        {"source": "Haus", "references": ["house", "home\n"]},
        {"source": "Haus", "references": ["home"]},
    ]
    found, left = prepared(tmp_path, rows, task("translation", shots=0))
    assert {row["source"]: row["references"] for row in found} == {
        "Tür offen": ["Door open", "The door is open"], "Haus": ["house", "home"],
    }  # fmt: skip
    (alone,) = translation.build(rows[:1], task("translation", shots=0), GENERATOR)
    assert alone["id"] in {row["id"] for row in found}
    assert (
        left
        == "records left out: 1 equal to an earlier one (first: d.csv, row 4); 1 merged with one of the same source"
    )


def test_a_bad_reference_among_good_ones(tmp_path: Path) -> None:
    rows = [{"source": f"Satz {i}", "references": ["good", None, "a\nb"]} for i in range(2)]
    found, left = prepared(tmp_path, rows, task("translation", shots=0))
    assert [row["references"] for row in found] == [["good"], ["good"]]
    assert (
        "2 whose reference is null (first: d.csv, row 1, None), 2 whose reference holds a line break"
        in left
    )


def test_too_short_and_too_long_texts_are_counted(tmp_path: Path) -> None:
    """One token a byte; <s> and five bytes are six tokens of a prompt."""
    rows = [
        {"text": "12345678"},
        {"text": "12345         "},
        *({"text": f"123456 {i}89"} for i in range(2)),
    ]
    found, _ = prepared(tmp_path, rows, task("textgen"), room=6)
    assert len(found) == 2
    with pytest.raises(PipelineError) as error:
        prepared(tmp_path, rows, task("textgen", examples=3), room=6)
    assert (
        "1 shorter than prompt_tokens + max_new_tokens = 9 tokens (first: d.csv, row 1, '12345678')"
        in str(error.value)
    )
    assert "1 that go on with white space alone (first: d.csv, row 2, " in str(error.value)
    with pytest.raises(PipelineError, match="2 with a prompt of more than 5 tokens, what the context of tiny holds "
                       "beside max_new_tokens = 4"):  # fmt: skip
        prepared(tmp_path, rows, task("textgen"), room=5)


def test_all_records_bad_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        PipelineError, match=r"yields at most 0; records left out: 2 whose text is missing \(first: d"
    ):
        prepared(tmp_path, [{"prose": "x"}] * 2, task("textgen"))
    with pytest.raises(
        PipelineError, match=r"^assets\.d: 0 pairs; shots = 1 .*; records left out: 2 whose source is m"
    ):
        prepared(tmp_path, [{"prose": "x"}] * 2, task("translation", shots=1, data="d"))


def test_nothing_is_said_where_nothing_is_left_out() -> None:
    left = LeftOut()
    assert (
        len(textgen.build([{"text": "123456789"}], task("textgen"), GENERATOR, left)) == 1
        and str(left) == ""
    )


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def model(text: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


SYSTEM = {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("turns", "conversation", "expected"),
    [
        (2, [" a ", "b", "c", "d"], (["a", "b"], "c", "")),  # texts without roles: the first that come
        (2, [{"content": "a"}, {"content": "b"}, {"content": "c"}], (["a", "b"], "c", "")),
        (1, [SYSTEM, user("u1"), model("a1"), user("u2"), model("a2")], (["u1"], "a1", "Be brief.")),
        (2, [SYSTEM, user("u1"), model("a1"), user("u2"), model("a2")], (["a1", "u2"], "a2", "Be brief.")),
        (3, [user("u1"), model("a1"), user("u2"), model("a2")], (["u1", "a1", "u2"], "a2", "")),
        (1, [model("hello"), user("u1"), model("a1")], (["u1"], "a1", "")),
        (1, [user("u1"), user("more"), model("a1")], (["u1\nmore"], "a1", "")),  # one person, one turn
        (1, [user("u1"), model("a1"), model("more")], (["u1"], "a1\nmore", "")),
        (1, [{"role": "developer", "content": "Rules."}, user("u1"), model("a1")], (["u1"], "a1", "Rules.")),
        (1, [{"role": "system", "content": ""}, user("u1"), model("a1")], (["u1"], "a1", "")),
        (1, [user([{"type": "text", "text": "u1"}, {"type": "text", "text": "more"}]), model("a1")],
         (["u1\nmore"], "a1", "")),
        (1, [{"from": "system", "value": "Be."}, {"from": "human", "value": "u1"}, {"from": "gpt", "value": "a1"}],
         (["u1"], "a1", "Be.")),
    ],
)  # fmt: skip
def test_conversations(turns: int, conversation: list[Any], expected: tuple[list[str], str, str]) -> None:
    """The reply is the assistant's and answers the user; instructions go along."""
    found = exchange(conversation, turns)
    assert (found["context"], found["reply"], found.get("system", "")) == expected


@pytest.mark.parametrize(
    ("conversation", "said"),
    [
        (
            [user("u1"), model(None), {"role": "tool", "content": "7"}, model("a1")],
            "a message of tool (not user,",
        ),
        (
            [user("u1"), {**model(None), "tool_calls": [{}]}],
            "a message without text (a call of a tool, a picture)",
        ),
        ([user([{"type": "image_url", "image_url": "x"}]), model("a1")], "a message without text"),
        ([user("u1"), SYSTEM, model("a1")], "instructions (system, developer) after its beginning"),
        ([user("u1"), {"content": "a1"}], "messages with and without a role"),
        ([{"role": "alice", "content": "u1"}, model("a1")], "a message of alice"),
        ([{**SYSTEM, "content": "\ud800"}, user("u1"), model("a1")], "half a character"),
        ([model("a1"), user("u1")], "with fewer than 1 turns before a reply"),
        ([], "with fewer than 1 turns before a reply"),
        ({"a": 1}, "whose conversation is no list"),
        (None, "whose conversation is missing"),
    ],
)
def test_conversations_of_no_use_are_left_out(tmp_path: Path, conversation: Any, said: str) -> None:
    assert said in exchange(conversation, 1)[FAULT]
    good = {"messages": [user("u1"), model("a1")]}
    rows, left = prepared(
        tmp_path, [{"messages": conversation}, good, {"messages": [user("u2"), model("a2")]}],
        task("dialogue", turns=1), conversation="messages",
    )  # fmt: skip
    assert len(rows) == 2 and left.startswith("records left out: 1 w") and "(first: d.csv, row 1)" in left


def test_instructions_are_in_the_prompt_and_in_the_row(tmp_path: Path) -> None:
    """And make another example than the same words without."""
    said = [user("u1"), model("a1")]
    rows, _ = prepared(
        tmp_path, [{"c": [SYSTEM, *said]}, {"c": said}], task("dialogue", turns=1), conversation="c"
    )
    with_system, without = sorted(rows, key=lambda row: len(row["prompt"]), reverse=True)
    assert with_system["prompt"] == "<|system|>Be brief.</s><|user|>u1</s><|assistant|>"
    assert (with_system["source"], with_system["meta"]["turns"]) == ("System: Be brief.\nA: u1", ["u1"])
    assert (without["prompt"], without["source"]) == ("<|user|>u1</s><|assistant|>", "A: u1")
    assert with_system["id"] != without["id"]


def test_turns_that_are_empty_or_too_many(tmp_path: Path) -> None:
    rows = [
        {"context": ["a", " "], "reply": "b"}, {"context": ["a"], "reply": ""}, {"context": ["a"], "reply": "b"},
        {"context": "a", "reply": "b"}, *({"context": ["a", f"b{i}"], "reply": "c"} for i in range(2)),
    ]  # fmt: skip
    with pytest.raises(PipelineError) as error:
        prepared(tmp_path, rows, task("dialogue", turns=2, examples=3))
    for said in (
        "1 whose context is empty (first: d.csv, row 1, ['a', ' '])",
        "1 whose reply is empty (first: d.csv, row 2, '')",
        "1 of another number of turns than 2 (first: d.csv, row 3, ['a'])", "1 whose context is no list of texts",
    ):  # fmt: skip
        assert said in str(error.value)
