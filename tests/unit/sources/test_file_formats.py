"""Files of data sets as people have them: texts stay as they are written, other columns do not matter."""

from __future__ import annotations

import datetime
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from random_routing.errors import PipelineError
from random_routing.files import read_jsonl
from random_routing.settings import FAULT, ORIGIN, Asset, parse_settings
from random_routing.sources.local import fetch_local
from tests.helpers.workspace import params


def fetched(path: Path, *, encoding: str = "utf-8", **fields: str) -> list[dict[str, Any]]:
    """The records that fetch makes of the file or folder."""
    asset = Asset("d", "data", (f"file:{path}",), reader="records", fields=fields, encoding=encoding)
    target = path.parent / "target"
    target.mkdir(exist_ok=True)
    fetch_local(asset, target)
    return read_jsonl(target / "records.jsonl")


def texts(path: Path, **options: str) -> list[Any]:
    return [record.get("text") for record in fetched(path, **options)]


WORDS = "german,english\nKeine,None\nNull,null\n2024,2024\nnicht verfügbar,n/a\nAm 1. Mai,2024-05-01\n"
PAIRS = [
    ("Keine", "None"), ("Null", "null"), ("2024", "2024"), ("nicht verfügbar", "n/a"), ("Am 1. Mai", "2024-05-01"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "convert"),
    [
        ("words.csv", str),
        ("words.tsv", lambda text: text.replace(",", "\t")),
        ("semicolons.csv", lambda text: text.replace(",", ";")),
        ("quoted.csv", lambda text: "".join(f'"{a}","{b}"\n' for a, b in [("german", "english"), *PAIRS])),
        ("words.csv.gz", str),
        ("WORDS.CSV", str),
    ],
)
def test_csv_is_text(tmp_path: Path, name: str, convert: Callable[[str], str]) -> None:
    """No null, number or date is guessed."""
    data = convert(WORDS).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    found = fetched(tmp_path / name, source="german", reference="english")
    assert [(record["german"], record["english"]) for record in found] == PAIRS
    assert found[1][ORIGIN] == f"{name}, row 2"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("years.csv", "text\n2024\n2025\n", ["2024", "2025"]),
        ("zeros.csv", "text,n\n007,1\n1.50,\n", ["007", "1.50"]),
        ("dates.jsonl", '{"text": "2024-05-01", "created": "2024-05-01T10:00:00Z"}\n', ["2024-05-01"]),
        ("nan.ndjson", '{"text": "a", "x": NaN}\n\n{"text": null, "x": [{"y": 1}]}\n', ["a", None]),
        ("numbers.jsonl", '{"text": 2024}\n{"text": 1.50}\n{"text": true}\n', ["2024", "1.50", True]),
        ("list.json", '[{"text": "a"}, {"text": "b"}]', ["a", "b"]),
        ("one.json", '{\n "text": "a"\n}', ["a"]),
        ("lines.json", '{"text": "a"}\n{"text": "b"}\n', ["a", "b"]),
        ("breaks.csv", 'text\r\n"two\nlines, one ""text"""\r\nb\r\n', ['two\nlines, one "text"', "b"]),
        ("quotes.tsv", 'text\tn\n"Yes" he said\t1\n5" pipe\t2\n', ['"Yes" he said', '5" pipe']),
        ("short.csv", "n,text\n1,a\n2\n", ["a", None]),
        ("blank.csv", '\ntext\na\n\nb\n""\n', ["a", "b", ""]),
        ("nul.csv", "text,n\na\0b,1\n", ["a\0b"]),
        ("lines.txt", "one\n two \u2028 on\n\n", ["one", " two \u2028 on"]),
        ("wrapped.TXT", "one\n of two\n\n \nlast\n", ["one of two", "last"]),
        ("joined.jsonl", '\ufeff{"text": "a\ufeffb"}\n\ufeff{"text": "c"}\n', ["a\ufeffb", "c"]),
        ("joined.csv", "\ufefftext\na\n\ufeffb\n", ["a", "b"]),
        ("half.jsonl", r'{"text": "\ud800"}', ["\ud800"]),
    ],
)
def test_texts_stay_as_they_are(tmp_path: Path, name: str, content: str, expected: list[Any]) -> None:
    (tmp_path / name).write_bytes(content.encode())
    assert texts(tmp_path / name) == expected
    if not name.endswith(".TXT"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
        assert texts(tmp_path / f"{name}.gz") == expected


def test_parquet(tmp_path: Path) -> None:
    """Pictures, dates and NaN in other columns are not even read; whole numbers are their digits."""
    table = pa.table(
        {
            "text": ["null", "007", None], "year": pa.array([2024, 2025, 2026], pa.int16()),
            "when": [datetime.datetime(2024, 5, 1)] * 3, "x": [float("nan")] * 3, "raw": [b"\xff"] * 3,
            "said": [{"de": "Haus", "at": datetime.date(2024, 5, 1)}] * 3,
        }
    )  # fmt: skip
    parquet.write_table(table, tmp_path / "d.parquet")
    assert texts(tmp_path / "d.parquet") == ["null", "007", None]
    assert [r["year"] for r in fetched(tmp_path / "d.parquet", text="year")] == ["2024", "2025", "2026"]
    assert fetched(tmp_path / "d.parquet", source="said.de")[0]["said.de"] == "Haus"
    for column, kind in (("when", "datetime"), ("raw", "bytes"), ("said.at", "date")):
        with pytest.raises(
            PipelineError, match=rf"assets\.d: d\.parquet, row 1: column '{column}' holds {kind}"
        ):
            fetched(tmp_path / "d.parquet", text=column)
    with pytest.raises(
        PipelineError, match=r"fields\.text = 'body': no such column; there are \['raw', 'said', "
    ):
        fetched(tmp_path / "d.parquet", text="body")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig"])
@pytest.mark.parametrize("name", ["d.csv", "d.jsonl", "d.txt"])
def test_encoding(tmp_path: Path, encoding: str, name: str) -> None:
    content = {"d.csv": "text\nStraße\n", "d.jsonl": '{"text": "Straße"}\n', "d.txt": "Straße\n"}[name]
    (tmp_path / name).write_bytes(content.encode(encoding))
    assert texts(tmp_path / name, encoding=encoding) == ["Straße"]


def test_no_such_column(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("paragraph,n\nx,1\n")
    missing = (
        r"^params\.yaml: assets\.d\.fields\.text = 'prose': no such column; there are \['n', 'paragraph'\]$"
    )
    with pytest.raises(PipelineError, match=missing):
        fetched(tmp_path / "d.csv", text="prose")
    with pytest.raises(
        PipelineError, match=r"has the columns \['n', 'paragraph'\]; a task needs some of text, .*fields"
    ):
        fetched(tmp_path / "d.csv")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("d.jsonl", b'{"text": "x"}\n{"text":\n', "cannot be read (line 2: is no JSON"),
        ("d.json", b'[{"text": "x"', "cannot be read (is no JSON"),
        ("d.jsonl", b"[" * 100_000, "is no JSON"),
        ("d.csv", b'text,n\na,1\n"b"c,2\n', "cannot be read (row 2: "),
        ("d.csv", b'text,n\na,1\n"b,2\n', "cannot be read (row 2: unexpected end of data"),
        ("d.csv", b"text,text\na,b\n", "has the column 'text' twice"),
        ("d.csv.gz", b"text\na\n", "cannot be read (Not a gzipped file"),
        ("d.csv.gz", gzip.compress(b"text\n" * 1000, mtime=0)[:-9], "cannot be read ("),
        ("d.parquet", b"PAR1", "cannot be read ("),
        ("d.csv", b"text\n\xdf\n", "assets.d.encoding in params.yaml says how it is written"),
        ("d.jsonl", b"", "has no records"),
        (
            "d.json",
            b'["a", "b"]',
            "no records, but rows that are no objects of columns (first: d.json, row 1)",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PipelineError) as error:
        fetched(tmp_path / name)
    assert words in str(error.value) and name in str(error.value)


def test_a_row_with_too_many_fields_is_marked(tmp_path: Path) -> None:
    """Its texts may be those of other columns."""
    (tmp_path / "d.csv").write_text("text,n\na,b,1\nc,2,\n")
    first, second = fetched(tmp_path / "d.csv")
    assert first == {ORIGIN: "d.csv, row 1", FAULT: "with more fields than the header has"}
    assert second["text"] == "c"


def test_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In order of names; hidden files and those of hidden folders, and what fetch wrote elsewhere, are no data."""
    folder = tmp_path / "data"
    for name in ("b.txt", "a/c.txt", ".hidden.txt", ".git/x.txt", "readme.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name}\n\nlast" if name == "b.txt" else name)
    (folder / "asset.json").write_text("{}")
    assert texts(folder) == ["a/c.txt", "b.txt", "last"]
    said = capsys.readouterr().out
    assert "a record is a paragraph, as blank lines divide the text (1 of 2 files)" in said
    assert "a record is a line, as no blank line divides it (1 of 2 files)" in said


def test_rows_of_another_checkout(tmp_path: Path) -> None:
    """A folder that was fetched there: its records, and where they are now."""
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "asset.json").write_text("{}")
    (folder / "records.jsonl").write_text(json.dumps({ORIGIN: "d.csv, row 7", "text": "a"}))
    assert fetched(folder) == [{ORIGIN: "records.jsonl, line 1", "text": "a"}]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"encoding": "latin1", "fields": {"text": "body"}}, ""),
        (
            {"encoding": "latin-0"},
            "assets.d.encoding = 'latin-0': must be the name of an encoding, such as utf-8",
        ),
        ({"encoding": "base64"}, "assets.d.encoding = 'base64'"),  # which is none of texts
        ({"encoding": "utf-8", "source": "hf:o/d@main"}, "only an asset with a source file:"),
        ({"fields": {"txt": "body"}}, "did you mean text?"),
    ],
)
def test_settings_of_a_data_set(value: dict[str, Any], words: str) -> None:
    values = params()
    values["assets"]["d"] = {"kind": "data", "source": "file:x", "reader": "records"} | value
    if not words:
        assert parse_settings(values).assets["d"].encoding == "latin1"
        return
    with pytest.raises(PipelineError, match=re.escape(words)):
        parse_settings(values)
