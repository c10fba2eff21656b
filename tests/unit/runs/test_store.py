"""The store loses nothing that was finished and never returns what is damaged."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from random_routing.errors import PipelineError
from random_routing.runs.store import Store, content_key, open_store
from tests.helpers.waiting import LAST_RESORT, until

ALL_CODES = {  # of SQLite's errors, without their extensions
    value for name, value in vars(sqlite3).items()
    if name.startswith("SQLITE_") and name.count("_") == 1 and isinstance(value, int) and 0 < value < 27
}  # fmt: skip


def test_values_come_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "rows.sqlite")
    one, two = content_key({"a": 1, "b": 2}), content_key([3])
    store.put({one: b"first", two: b""})
    assert Store(tmp_path / "rows.sqlite").get([one, two, b"missing"]) == {one: b"first", two: b""}


def test_keys_do_not_depend_on_order_but_on_every_value() -> None:
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert content_key({"a": 1, "b": 2}) != content_key({"a": 1, "b": 3})


def test_a_damaged_value_counts_as_missing(tmp_path: Path) -> None:
    store = Store(tmp_path / "rows.sqlite")
    store.put({b"k": b"value", b"l": b"other"})
    with sqlite3.connect(tmp_path / "rows.sqlite") as database:
        database.execute("UPDATE items SET value = ? WHERE key = ?", (b"valve", b"k"))
    assert store.get([b"k", b"l"]) == {b"l": b"other"}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(
        PipelineError, match=r"rows\.sqlite: damaged \(file is not a database\); move it away"
    ):
        Store(tmp_path / "rows.sqlite").get([b"k"])


def _write_until_killed(path: Path) -> None:
    store = Store(path)
    for block in range(1_000_000):
        store.put({content_key([block, i]): os.urandom(2000) for i in range(50)})
        (path.parent / "finished").write_text(str(block))


def finished(folder: Path) -> int:
    path = folder / "finished"
    return int((path.exists() and path.read_text()) or 0)


def test_kill_loses_no_finished_block(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_write_until_killed, args=(tmp_path / "rows.sqlite",)
    )
    process.start()
    until(lambda: finished(tmp_path) >= 20 or not process.is_alive())
    assert process.is_alive()
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    store = Store(tmp_path / "rows.sqlite")
    for block in range(finished(tmp_path) + 1):
        assert len(store.get([content_key([block, i]) for i in range(50)])) == 50


def test_a_second_process_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets the store when the first, which holds it until the second has said that it waits, is done."""
    context = multiprocessing.get_context("spawn")
    held, go_on = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, held, go_on), daemon=True)
    process.start()
    assert held.wait(LAST_RESORT)

    def said(stage: str, message: str) -> None:
        assert (stage, message) == ("generate", "another run is at work; waiting for it to finish")
        assert not (tmp_path / "done").exists()
        go_on.set()

    monkeypatch.setattr("random_routing.runs.store.say", said)
    with open_store("generate", tmp_path):
        assert go_on.is_set() and (tmp_path / "done").exists()
    process.join()


def _hold(folder: Path, held: Event, go_on: Event) -> None:
    with open_store("generate", folder):
        held.set()
        assert go_on.wait(LAST_RESORT)
        (folder / "done").touch()


def test_a_full_disk_is_not_called_damage(tmp_path: Path) -> None:
    store = Store(tmp_path / "rows.sqlite")
    store.database.execute("PRAGMA max_page_count = 5")
    with pytest.raises(PipelineError, match=r"rows\.sqlite: database or disk is full$"):
        store.put({bytes([i]): os.urandom(4000) for i in range(20)})
    store.put({b"k": b"small"})  # and what fits is still kept
    assert store.get([b"k", bytes([1])]) == {b"k": b"small"}


def test_a_value_too_large_is_not_called_damage(tmp_path: Path) -> None:
    store = Store(tmp_path / "rows.sqlite")
    store.database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000)
    with pytest.raises(PipelineError, match=r"rows\.sqlite: string or blob too big$"):
        store.put({b"k": bytes(2000)})


def test_a_constraint_is_not_called_damage(tmp_path: Path) -> None:
    """No message advises to give up results that are sound."""
    store = Store(tmp_path / "rows.sqlite")
    store.put({b"k": b"value"})
    with pytest.raises(PipelineError, match=r"rows\.sqlite: NOT NULL constraint failed: items\.key$"):
        store.put({None: b"other"})  # type: ignore[dict-item]
    store.database.execute("PRAGMA query_only = 1")
    with pytest.raises(PipelineError, match=r"rows\.sqlite: attempt to write a readonly database$"):
        store.put({b"l": b"other"})
    assert store.get([b"k"]) == {b"k": b"value"}


def test_a_value_that_was_never_stored_is_not_called_lost(tmp_path: Path) -> None:
    store = Store(tmp_path / "rows.sqlite")
    store.put({b"k": b"value"})
    with pytest.raises(
        PipelineError, match=r"rows\.sqlite: 1 of 2 values are not there; run the stage again$"
    ):
        store.take([b"k", b"never"])


@pytest.mark.parametrize("code", sorted(ALL_CODES))
def test_every_other_error_of_the_database_keeps_the_file(tmp_path: Path, code: int) -> None:
    error = sqlite3.DatabaseError("what it says")
    error.sqlite_errorcode = code | 1 << 8  # type: ignore[misc]
    said = str(Store(tmp_path / "rows.sqlite")._refused(error))
    damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    assert ("damaged" in said, "move it away" in said) == (damaged, damaged) and "delete" not in said
