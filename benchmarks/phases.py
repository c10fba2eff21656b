"""Seconds of the parts of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Phases(dict[str, float]):
    """Name → seconds by `clock`, of all calls of what `timed` has wrapped under that name."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def inner(*args: Any) -> Any:
            started = self.clock()
            result = call(*args)
            self[name] = self.get(name, 0.0) + self.clock() - started
            return result

        return inner
