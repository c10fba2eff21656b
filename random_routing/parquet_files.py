"""Parquet files that know the hash of their own bytes: one that changed on disk is seen when the file is opened.

Parquet's own checksums are of the pages' contents; a bit in a page's header or in the footer, where metadata, types and
the places of pages stand, can change what is read. So a SHA-256 of all other bytes stands before the footer, where any
Parquet reader skips it: readers go where the footer sends them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from random_routing.files import replacing

END = 8  # bytes after the footer: its length in 4, then PAR1
HASH = hashlib.sha256().digest_size
PORTION = 2**20  # bytes hashed at a time, as a file may be larger than memory


@contextmanager
def parquet_writer(path: str | Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A writer whose file comes into place if the block ends well."""
    with replacing(path) as temporary:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            yield writer
        with open(temporary, "r+b") as file:
            place = _footer(file)
            found = _hash(file, place, place)
            file.seek(place)
            footer = file.read()
            file.seek(place)
            file.write(found + footer)


@contextmanager
def parquet_reader(path: str | Path) -> Iterator[pq.ParquetFile]:
    """What `parquet_writer` wrote. Raises `OSError` or `ValueError` when a byte is another."""
    with open(path, "rb") as file:
        place = _footer(file)
        file.seek(max(0, place - HASH))
        if file.read(HASH) != _hash(file, place - HASH, place):
            raise ValueError("its hash is another")
        with pq.ParquetFile(file) as opened:
            yield opened


def _footer(file: BinaryIO) -> int:
    """Where it begins."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - END))
    return max(0, size - END - int.from_bytes(file.read(4), "little"))


def _hash(file: BinaryIO, first: int, place: int) -> bytes:
    """Of the first bytes, and of those from a place on."""
    found = hashlib.sha256()
    file.seek(0)
    while first > 0 and (some := file.read(min(first, PORTION))):
        found.update(some)
        first -= len(some)
    file.seek(place)
    while some := file.read(PORTION):
        found.update(some)
    return found.digest()
