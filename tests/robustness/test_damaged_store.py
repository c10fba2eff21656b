"""A store whose file was damaged: never a wrong value."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from pathlib import Path

from random_routing.errors import PipelineError
from random_routing.runs.store import Store
from tests.helpers.damage import flipped


def test_a_damaged_store_is_named_or_mended(tmp_path: Path) -> None:
    """402 flips in any part of the file: never a wrong value; what is missing can be put again, or one line."""
    path, key, ends = tmp_path / "rows.sqlite", random.Random(0), Counter[str]()
    items = {key.randbytes(32): key.randbytes(key.choice((200, 1500, 6000))) for _ in range(12)}
    with contextlib.closing(Store(path)) as store:
        store.put(items)
    for _ in flipped(path, 400):
        try:
            with contextlib.closing(Store(path)) as store:
                found = store.get(list(items))
                assert found.items() <= items.items()
                store.put({k: value for k, value in items.items() if k not in found})
                assert store.take(list(items)) == items
                ends["sound" if found == items else "mended"] += 1
        except PipelineError as error:
            assert (
                str(error).startswith(f"{path}: ") and "\n" not in str(error) and "delete" not in str(error)
            )
            ends["damaged" if f"{path}: damaged (" in str(error) else "refused"] += 1
    assert ends["mended"] > 100 and ends["damaged"] and ends["refused"] < 8, ends


def test_a_store_whose_schema_is_damaged_is_named(tmp_path: Path) -> None:
    """Every byte of the table's definition: a broken word there is damage, not a full disk."""
    path = tmp_path / "rows.sqlite"
    Store(path).close()
    data = path.read_bytes()
    start = data.index(b"CREATE TABLE")
    for place in range(start, data.index(b"WITHOUT ROWID") + len(b"WITHOUT ROWID")):
        damaged = bytearray(data)
        damaged[place] ^= 0x80 if place % 2 else 1
        path.write_bytes(damaged)
        with contextlib.suppress(PipelineError), contextlib.closing(Store(path)) as store:
            store.put({b"k": b"value"})
            assert store.take([b"k"]) == {b"k": b"value"}
