"""The trials' journal: what Optuna writes, a line an operation, each with its checksum.

Held by one process, as the store is, so it needs no lock of its own. What follows a torn or damaged line is as
if it had not been written: the trials are asked anew, and their texts and scores are in the store.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend


class Journal(BaseJournalBackend):
    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes() if path.exists() else b""
        self.logs: list[dict[str, Any]] = []
        self.end = 0  # of the last whole line
        for line in data.splitlines(keepends=True):
            crc, _, text = line.rstrip(b"\n").partition(b" ")
            if not line.endswith(b"\n") or crc != checksum(text):
                break
            self.logs.append(json.loads(text))
            self.end += len(line)

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """All of them or none."""
        texts = [json.dumps(log, separators=(",", ":")).encode() for log in logs]
        lines = b"".join(checksum(text) + b" " + text + b"\n" for text in texts)
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.seek(self.end)
            file.truncate()
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self.end += len(lines)
        self.logs += logs


def checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)
