"""Ctrl-C while another process works: it hears it too, and ends with its own line."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def waiting() -> Iterator[list[int]]:
    """SIGINT ends nothing here; the list has it afterwards."""
    caught: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    try:
        yield caught
    finally:
        signal.signal(signal.SIGINT, before)
