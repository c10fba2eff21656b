"""Finished work by content: a key is the hash of everything a value depends on.

One SQLite file beside DVC's cache, so that experiments in temporary workspaces share it and
deleting `data/` loses nothing. A value is there whole or not at all, also after `kill -9`.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from random_routing.errors import PipelineError
from random_routing.files import sha256_json
from random_routing.progress import say

Item = TypeVar("Item")
ERRORS = (sqlite3.Error, UnicodeDecodeError)  # the latter: a message that quotes broken bytes
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}  # all others leave the file's content as it was


def content_key(address: Any) -> bytes:
    """32 bytes: the SHA-256 of a JSON value, independent of the order of keys."""
    return bytes.fromhex(sha256_json(address))


def default_folder() -> Path:
    """`rows/` inside the folder that DVC's cache is configured to be (`dvc cache dir`)."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            return Path(repo.cache.local_cache_dir) / "rows"
    except DvcException as error:
        raise PipelineError(f"no DVC repository here; run inside the checkout ({error})") from None


class Store:
    """A key → bytes map on disk. Raises `PipelineError` when the file is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.database = sqlite3.connect(path, timeout=600)
            self.database.text_factory = bytes  # a value whose type is damaged is judged by its checksum
            # Of a new file: a text fits into its tree's pages.
            self.database.execute("PRAGMA page_size = 16384")
            self.database.execute("PRAGMA cache_size = -65536")  # KiB
            self.database.execute(
                "CREATE TABLE IF NOT EXISTS items (key BLOB PRIMARY KEY, crc INTEGER, value BLOB) WITHOUT ROWID"
            )
        except ERRORS as error:
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> PipelineError:
        """One line. What is not damage (a full disk, no permission, a constraint, …) must not look like it."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if code & 0xFF not in DAMAGED:
            return PipelineError(f"{self.path}: {error}")
        return PipelineError(
            f"{self.path}: damaged ({error}); move it away, what it held is computed again"
        )

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values that are there; one with a wrong checksum counts as missing."""
        values = {}
        try:
            for key in keys:
                row = self.database.execute("SELECT crc, value FROM items WHERE key = ?", (key,)).fetchone()
                if row and isinstance(row[1], bytes) and zlib.crc32(row[1]) == row[0]:
                    values[key] = row[1]
        except ERRORS as error:
            raise self._refused(error) from None
        return values

    def take(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Values of keys that were all there. Raises `PipelineError` where one is missing or the file is damaged."""
        values = self.get(keys)
        lost = len(set(keys)) - len(values)
        if not lost:
            return values
        try:
            (tree,) = self.database.execute("PRAGMA integrity_check(1)").fetchone()
        except ERRORS as error:
            raise self._refused(error) from None
        if tree != b"ok":
            raise self._refused(ValueError(tree.decode(errors="replace")))
        raise PipelineError(
            f"{self.path}: {lost} of {len(set(keys))} values are not there; run the stage again"
        )

    def present(self, keys: Sequence[bytes]) -> set[bytes]:
        """Those of the keys that have a sound value."""
        step = 256  # a bounded number of values in memory
        pieces = (keys[start : start + step] for start in range(0, len(keys), step))
        return {key for piece in pieces for key in self.get(piece)}

    def absent(self, items: Iterable[tuple[Item, bytes]]) -> list[Item]:
        """items: with their keys. Those whose key has no sound value."""
        pairs = list(items)
        present = self.present([key for _, key in pairs])
        return [item for item, key in pairs if key not in present]

    def put(self, items: dict[bytes, bytes]) -> None:
        """All of the items or none."""
        try:
            with self.database:
                self.database.executemany(
                    "INSERT OR REPLACE INTO items VALUES (?, ?, ?)",
                    [(key, zlib.crc32(value), value) for key, value in items.items()],
                )
        except ERRORS as error:
            raise self._refused(error) from None

    def discard(self, keys: Sequence[bytes]) -> None:
        try:
            with self.database:
                self.database.executemany("DELETE FROM items WHERE key = ?", [(key,) for key in keys])
        except ERRORS as error:
            raise self._refused(error) from None

    def close(self) -> None:
        self.database.close()


@contextmanager
def open_store(stage: str, folder: Path | None = None) -> Iterator[Store]:
    """The store, held by one process at a time: a killed `dvc` may have left its child at work."""
    folder = folder or default_folder()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(stage, "another run is at work; waiting for it to finish")
        lock.acquire()
    store = Store(folder / "rows.sqlite")
    try:
        yield store
    finally:
        store.close()
        lock.release()
