"""Generated records and files of data sets: prepared rows, or one line that says what is wrong; nothing else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import prepare
from random_routing.errors import PipelineError
from random_routing.runs.tokenized import tokenize_prompts
from random_routing.settings import Asset, Task, load_settings
from random_routing.tasks import TASK_KINDS
from random_routing.tasks.example_ids import Generator
from random_routing.tasks.named_data_sets import READERS
from tests.helpers import ROOT
from tests.helpers.errors import one_line
from tests.helpers.generated import JSON, TEXT, cases
from tests.helpers.tiny import byte_tokenizer

SETTINGS = load_settings(ROOT / "params.yaml")
GENERATOR = Generator("tiny", byte_tokenizer())


def small(name: str, **changes: Any) -> Task:
    sizes = {
        "textgen": {"prompt_tokens": 2, "max_new_tokens": 2},
        "dialogue": {"turns": 1},
        "translation": {"shots": 1},
    }
    return dataclasses.replace(
        SETTINGS.tasks[name], **{"examples": 2, "data": "d", **sizes[name], **changes}
    )


MESSAGE = st.fixed_dictionaries(
    {"from": st.sampled_from(["human", "gpt", "system", "tool", "x"])},
    optional={"value": TEXT | st.none(), "content": st.lists(st.fixed_dictionaries({"text": TEXT}))},
)
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXT.map(lambda text: text + "longer"),
    "context": st.lists(TEXT, min_size=1, max_size=1),
    "reply": TEXT,
    "source": TEXT,
    "references": st.lists(TEXT, min_size=1, max_size=2),
    "conversation": st.lists(TEXT | st.fixed_dictionaries({"role": TEXT, "content": TEXT}), max_size=3)
    | st.lists(MESSAGE, max_size=6),
}
RECORD = st.fixed_dictionaries({}, optional=GOOD) | st.fixed_dictionaries(
    {}, optional={k: JSON for k in GOOD}
)
ROWS = st.lists(RECORD | RECORD | RECORD | JSON, max_size=5)
FIELDS = st.dictionaries(
    st.sampled_from([*GOOD, "reference"]), st.sampled_from([*GOOD, "a.b", "text.x", ""]), max_size=2
)


def check_rows(task: Task, rows: list[dict[str, Any]]) -> None:
    """Texts are whole, and no control token of a prompt comes from the data."""
    assert len(rows) == task.examples == len({row["id"] for row in rows})
    for row in rows:
        json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
        assert isinstance(row["prompt"], str) and all(isinstance(text, str) for text in row["references"])
    ids = [
        example.prompt
        for example in tokenize_prompts(rows, GENERATOR.tokenizer, TASK_KINDS[task.name].add_special_tokens)
    ]
    expected = {"textgen": 1, "dialogue": 3, "translation": 1}[
        task.name
    ]  # <s>, or <|user|> </s> <|assistant|>
    assert all(sum(id_ < 5 for id_ in row) == expected for row in ids)


@pytest.mark.parametrize("name", ["textgen", "dialogue", "translation"])
@given(rows=ROWS, fields=FIELDS | st.just({}), shots=st.integers(0, 2))
@cases(200, 4000)
def test_records(
    tmp_path_factory: pytest.TempPathFactory, name: str, rows: list[Any], fields: dict[str, str], shots: int
) -> None:
    task = small(name, shots=shots) if name == "translation" else small(name)
    folder = tmp_path_factory.getbasetemp()
    (folder / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asset = Asset("d", "data", ("file:x",), reader="records", fields=fields)
    try:
        check_rows(task, prepare.prepare(task, asset, GENERATOR, folder))
    except PipelineError as error:
        one_line(error)


@given(
    lines=st.lists(st.binary(max_size=20) | JSON.map(lambda value: json.dumps(value).encode()), max_size=4)
)
@cases(100, 2000)
def test_bytes_for_records(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "records.jsonl").write_bytes(b"\n".join(lines))
    read_with("records", folder, small("dialogue"))


def read_with(reader: str, folder: Path, task: Task) -> None:
    try:
        for record in READERS[reader](folder, Asset("d", "data", ("file:x",), reader=reader), task):
            assert isinstance(record, dict)
        prepare.prepare(task, Asset("d", "data", ("file:x",), reader=reader), GENERATOR, folder)
    except PipelineError as error:
        one_line(error)


MESSAGES = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.lists(st.fixed_dictionaries({"text": TEXT | JSON}) | JSON, max_size=2), max_size=4
        )
        | JSON
    }
)
CHITCHAT = st.dictionaries(TEXT, MESSAGES | JSON, max_size=3) | JSON
HALF_A_FILE = st.integers(0, 60)


@given(content=CHITCHAT, cut=HALF_A_FILE | st.none())
@cases(150, 3000)
def test_chitchat(tmp_path_factory: pytest.TempPathFactory, content: Any, cut: int | None) -> None:
    folder = tmp_path_factory.getbasetemp() / "chitchat"
    folder.mkdir(exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(content)[:cut])
    read_with("chitchat", folder, small("dialogue"))


SENTENCE = TEXT.map(lambda text: f"one two three four five six seven {text}x")
LEAVES = st.recursive(
    SENTENCE | JSON, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=5
)


@given(de=LEAVES, en=LEAVES, cut=HALF_A_FILE | st.none())
@cases(150, 3000)
def test_homeassistant(tmp_path_factory: pytest.TempPathFactory, de: Any, en: Any, cut: int | None) -> None:
    folder = tmp_path_factory.getbasetemp() / "home"
    (folder / "translations").mkdir(parents=True, exist_ok=True)
    (folder / "translations/de.json").write_text(json.dumps(de))
    (folder / "translations/en.json").write_text(json.dumps(en)[:cut])
    read_with("homeassistant", folder, small("translation"))


@given(
    content=st.binary(max_size=40) | TEXT.map(lambda text: f"{text} word" * 130), tail=st.binary(max_size=4)
)
@cases(100, 2000)
def test_sotu(tmp_path_factory: pytest.TempPathFactory, content: Any, tail: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "sotu"
    folder.mkdir(exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode(errors="surrogatepass")
    (folder / "a.txt").write_bytes(data + tail)
    read_with("sotu", folder, small("textgen"))
