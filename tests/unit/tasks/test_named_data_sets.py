"""Readers: from the files of a data set to the records of a task."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from random_routing.errors import PipelineError
from random_routing.settings import load_settings
from tests.helpers import ROOT
from tests.helpers.tasks import read

TASKS = load_settings(ROOT / "params.yaml").tasks
DIALOGUE = dataclasses.replace(TASKS["dialogue"], turns=3)


def test_sotu_takes_long_paragraphs(tmp_path: Path) -> None:
    """130 words are enough, 129 are not; line breaks and blanks inside become one blank."""
    long, short = " \n ".join(["word"] * 130), " ".join(["word"] * 129)
    (tmp_path / "a.txt").write_text(f"{short}\n\n{long}\n \n{short}")
    assert read(tmp_path, "sotu", "sotu") == [{"text": " ".join(["word"] * 130)}]


def test_sotu_names_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(PipelineError, match=r"a\.txt: is not UTF-8"):
        read(tmp_path, "sotu", "sotu")


REPLY = "one two three four five six seven eight nine ten"


def conversation(*turns: str) -> dict[str, Any]:
    return {"messages": [[{"text": message} for message in turn.split("|")] for turn in turns]}


@pytest.mark.parametrize(
    ("turns", "found"),
    [
        (["hi", "you|there", "yes", REPLY], [["hi", "you there", "yes"]]),  # messages of a turn joined
        (["hi", "hello", "yes", REPLY.removesuffix(" ten")], []),  # nine words
        (["hi", "hello", "yes", " ".join([REPLY] * 4)], [["hi", "hello", "yes"]]),  # forty
        (["hi", "hello", "yes", " ".join([REPLY] * 4) + " more"], []),  # forty-one
        (["hi", "", "yes", REPLY], []),  # an empty turn
        (["hi", "see https://x.org", "yes", REPLY], []),
        (["hi", "hello", "日本", REPLY], []),
        (["a", "b", "c", REPLY, REPLY, REPLY], [["a", "b", "c"]]),  # one a conversation
        (["no", "b", "c", "d", REPLY], [["b", "c", "d"]]),  # the first that fits
    ],
)
def test_chitchat_contexts(tmp_path: Path, turns: list[str], found: list[list[str]]) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"x": conversation(*turns)}))
    records = read(tmp_path, "chitchat", "chitchat", DIALOGUE)
    assert [record["context"] for record in records] == found


@pytest.mark.parametrize("content", ["[]", '{"x": {}}', '{"x": {"messages": [["text"]]}}'])
def test_chitchat_names_a_file_of_another_kind(tmp_path: Path, content: str) -> None:
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(PipelineError, match=r"dataset\.json: holds something else"):
        read(tmp_path, "chitchat", "chitchat", DIALOGUE)


EIGHT = "eins zwei drei vier fünf sechs sieben acht"
EIGHT_EN = "one two three four five six seven eight"


def translations(folder: Path, component: str, de: dict[str, Any], en: dict[str, Any]) -> None:
    path = folder / component / "translations"
    path.mkdir(parents=True)
    (path / "de.json").write_text(json.dumps(de))
    (path / "en.json").write_text(json.dumps(en))


def test_homeassistant_pairs(tmp_path: Path) -> None:
    good = {"a": {"b": EIGHT}}
    bad = {
        "short": "eins zwei",
        "long": " ".join([EIGHT] * 4),  # 32 words
        "braces": f"{EIGHT} {{name}}",
        "link": f"{EIGHT} [hier](x)",
        "key": f"{EIGHT} [%key:common::x%]",
        "html": f"{EIGHT} <b>x</b>",
        "same": EIGHT_EN,
        "untranslated": EIGHT,
    }
    english = {"a": {"b": EIGHT_EN}, **{key: EIGHT_EN for key in bad if key != "untranslated"}}
    translations(tmp_path, "one", {**good, **bad}, english)
    assert read(tmp_path, "ha", "homeassistant") == [{"source": EIGHT, "references": [EIGHT_EN]}]


def test_reading_does_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    """Equal sources with several targets: which one stays must not change from run to run."""
    german = {f"key{i}": EIGHT for i in range(20)}
    translations(tmp_path, "one", german, {f"key{i}": f"{EIGHT_EN} {i}" for i in range(20)})
    program = (
        "import sys; from pathlib import Path; from tests.helpers.tasks import read\n"
        "print(read(Path(sys.argv[1]), 'ha', 'homeassistant'))"
    )
    other = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert other.stdout == f"{read(tmp_path, 'ha', 'homeassistant')}\n"


def records(folder: Path, *rows: dict[str, Any]) -> Path:
    (folder / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_records_rename_columns(tmp_path: Path) -> None:
    records(tmp_path, {"translation": {"de": "Haus", "en": "house"}, "n": 1})
    fields = {"source": "translation.de", "reference": "translation.en"}
    (record,) = read(tmp_path, "d", "records", TASKS["translation"], **fields)
    assert (record["source"], record["references"]) == ("Haus", ["house"])


def test_a_nested_column_or_one_of_that_very_name(tmp_path: Path) -> None:
    """A flat column that is called src.text comes first."""
    records(
        tmp_path, {"src.text": "flat", "src": {"text": "nested"}}, {"src": {"text": "nested"}}, {"src": 1}
    )
    rows = read(tmp_path, "d", "records", TASKS["textgen"], text="src.text")
    assert [row.get("text") for row in rows] == ["flat", "nested", None]
