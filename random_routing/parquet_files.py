"""Parquet files of which every byte is checked as it is read.

Parquet has checksums of its pages, and none of its footer, where metadata, types and the places of the pages
stand. So a SHA-256 of the footer stands before it, where any Parquet reader skips it: readers go where the footer
sends them. Whoever reads a few row groups checks those and the footer alone.
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


@contextmanager
def parquet_writer(path: str | Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A writer whose file comes into place if the block ends well."""
    with replacing(path) as temporary:
        with pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer:
            yield writer
        with open(temporary, "r+b") as file:
            place, footer = _footer(file)
            file.seek(place)
            file.write(hashlib.sha256(footer).digest() + footer)


@contextmanager
def parquet_reader(path: str | Path) -> Iterator[pq.ParquetFile]:
    """What `parquet_writer` wrote. Raises `OSError` or `ValueError` when a byte that is read is another."""
    with open(path, "rb") as file:
        place, footer = _footer(file)
        file.seek(max(0, place - HASH))
        if file.read(HASH) != hashlib.sha256(footer).digest():
            raise ValueError("its footer is another than was written")
        with pq.ParquetFile(file, page_checksum_verification=True) as opened:
            yield opened


def _footer(file: BinaryIO) -> tuple[int, bytes]:
    """Its place in the file, and all bytes from there on."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - END))
    place = max(0, size - END - int.from_bytes(file.read(4), "little"))
    file.seek(place)
    return place, file.read()
