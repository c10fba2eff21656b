"""Rows of one file of a data set. Texts stay as they are written: nothing is guessed to be a number, a date or null.

Each reader takes (file, columns that are wanted) and yields (place in the file, row): a mapping of columns, or words
that say why it is none. `Unreadable`, `UnicodeError` and what a packed or Parquet file raises end the reading.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, Any

Rows = Iterator[tuple[str, dict[str, Any] | str]]
MARK = "\ufeff"  # of byte order; joined files have one at the beginning of each


class Unreadable(Exception):
    """A file is not of the form that its ending says; the message says where and why."""


@dataclass(frozen=True)
class DataFile:
    path: Path
    encoding: str  # as Python's codecs are called

    @property
    def ending(self) -> str:
        """In lower case, without that of packing: .csv of A.CSV.gz."""
        name = self.path.name.lower()
        return Path(name.removesuffix(".gz")).suffix

    def open(self) -> IO[bytes]:
        packed = self.path.name.lower().endswith(".gz")
        return gzip.open(self.path) if packed else open(self.path, "rb")  # type: ignore[return-value]

    def lines(self, newline: str | None = None) -> Iterator[str]:
        with self.open() as stream, io.TextIOWrapper(stream, self.encoding, newline=newline) as text:
            for line in text:
                yield line.lstrip(MARK)


def read_json_lines(file: DataFile, wanted: set[str]) -> Rows:
    return _json_lines(file.lines())


def _json_lines(lines: Iterable[str]) -> Rows:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield f"line {number}", _object(_parsed(line, f"line {number}: "))


def read_json(file: DataFile, wanted: set[str]) -> Rows:
    """A list of objects, one object, or JSON Lines under another name."""
    text = "".join(file.lines())
    try:
        whole = _parsed(text)
    except Unreadable:
        if text.lstrip().startswith("["):
            raise
        yield from _json_lines(io.StringIO(text))
        return
    for number, row in enumerate(whole if isinstance(whole, list) else [whole], 1):
        yield f"row {number}", _object(row)


def _parsed(text: str, where: str = "") -> Any:
    """Numbers are the digits that stand in the file; NaN is null."""
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=lambda name: None)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{where}is no JSON: {error}") from None


def _object(row: Any) -> dict[str, Any] | str:
    return row if isinstance(row, dict) else "that are no objects of columns"


def read_csv(file: DataFile, wanted: set[str], delimiters: str = ",;\t|") -> Rows:
    """The delimiter is the one that finds most of the wanted columns in the header, then most columns."""
    csv.field_size_limit(sys.maxsize)  # a text may be longer than 128 kB
    lines = list(file.lines(newline=""))
    headers = {mark: _header(lines, mark) for mark in delimiters}
    delimiter = max(headers, key=lambda mark: (len(wanted & set(headers[mark])), len(headers[mark])))
    header = headers[delimiter]
    twice = sorted(name for name in wanted if header.count(name) > 1)
    if twice:
        raise Unreadable(f"has the column {twice[0]!r} twice")
    try:
        rows = _cells(lines, delimiter, csv.QUOTE_MINIMAL)
    except Unreadable:
        if delimiter != "\t":
            raise
        rows = _cells(lines, delimiter, csv.QUOTE_NONE)  # texts that begin with a mark of quotation
    for number, cells in enumerate(rows[1:], 1):
        too_many = any(cells[len(header) :])
        named = dict(zip(header, cells, strict=False))  # a row may end early
        yield f"row {number}", "with more fields than the header has" if too_many else named


def read_tsv(file: DataFile, wanted: set[str]) -> Rows:
    return read_csv(file, wanted, "\t,;|")


def _header(lines: list[str], delimiter: str) -> list[str]:
    first = next((cells for cells in csv.reader(lines, delimiter=delimiter) if cells), [])
    return [name.strip() for name in first]


def _cells(lines: list[str], delimiter: str, quoting: Any) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for cells in csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True):
            rows += [cells] if cells else []
    except csv.Error as error:
        raise Unreadable(
            f"row {len(rows)}: {error}; a text with {delimiter!r}, quotes or line breaks is quoted"
        ) from None
    return rows


def read_parquet(file: DataFile, wanted: set[str]) -> Rows:
    """Other columns are not read: their values are None."""
    from pyarrow import parquet

    with file.open() as stream:
        table = parquet.ParquetFile(stream)
        names = table.schema_arrow.names
        heads = wanted | {name.partition(".")[0] for name in wanted}
        number = 0
        for batch in table.iter_batches(columns=[name for name in names if name in heads]):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", dict.fromkeys(names) | row


def read_text(file: DataFile, wanted: set[str]) -> Rows:
    """Paragraphs where blank lines divide the text, their lines joined by a blank; else lines."""
    numbered = [(number, line.removesuffix("\n")) for number, line in enumerate(file.lines(), 1)]
    blocks = [
        list(block) for filled, block in groupby(numbered, lambda pair: bool(pair[1].strip())) if filled
    ]
    if len(blocks) == 1:
        yield from ((f"line {number}", {"text": line}) for number, line in blocks[0])
        return
    for block in blocks:
        yield f"paragraph at line {block[0][0]}", {"text": " ".join(line.strip() for _, line in block)}


@dataclass(frozen=True)
class Format:
    kind: str  # files of one data set are of one kind
    read: Callable[[DataFile, set[str]], Rows]


FORMATS = {
    ".jsonl": Format("json", read_json_lines),
    ".ndjson": Format("json", read_json_lines),
    ".json": Format("json", read_json),
    ".csv": Format("csv", read_csv),
    ".tsv": Format("csv", read_tsv),
    ".parquet": Format("parquet", read_parquet),
    ".txt": Format("text", read_text),
}
