"""Waits for states, however busy the machine is. It imports little, as processes of tests do."""

from __future__ import annotations

import time
from collections.abc import Callable

LAST_RESORT = 900.0  # seconds after which a process hangs
PAUSE = 0.01  # between two looks


def until(condition: Callable[[], object], what: str = "it") -> None:
    """Until `condition()` is true."""
    last = time.monotonic() + LAST_RESORT
    while not condition():
        assert time.monotonic() < last, f"{what} hangs"
        time.sleep(PAUSE)
