"""What a stage says while it works: lines, and bars that keep quiet where there is nothing to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm


def say(stage: str, message: str) -> None:
    print(f"{stage}: {message}", flush=True)


class Progress:
    """A bar that takes (done, total); nothing is drawn where there is nothing to do."""

    def __init__(self, description: str, unit: str) -> None:
        self.description, self.unit = description, unit
        self.bar: tqdm | None = None
        self.started = time.perf_counter()
        self.seconds = 0.0

    def summary(self) -> str:
        """A phrase on what was done and how fast."""
        if self.bar is None:
            return "all was there already"
        return f"{self.bar.n} {self.unit} in {self.seconds:.0f} s, {self.bar.n / self.seconds:.0f} {self.unit}/s"

    def __enter__(self) -> Callable[[int, int], None]:
        return self.show

    def show(self, done: int, total: int) -> None:
        if self.bar is None:
            interval = 1 if sys.stderr.isatty() else 15
            self.bar = tqdm(total=total, desc=self.description, unit=self.unit, mininterval=interval)
        self.bar.total = total  # may grow, as more work turns up
        self.bar.update(done - self.bar.n)
        self.seconds = time.perf_counter() - self.started

    def __exit__(self, *error: Any) -> None:
        if self.bar is not None:
            self.bar.close()


class Tally:
    """How much is done, by workers that report steps during a unit, and the unit when it is done."""

    def __init__(self, show: Callable[[int], None]) -> None:
        self.show = show
        self.shown, self.done = 0, 0  # shown: with steps of units that are not done

    def step(self, count: int) -> None:
        self.shown += count
        self.show(self.shown)

    def finish(self, count: int) -> None:
        """A unit of `count` steps is done, whatever was shown of it."""
        self.done += count
        self.step(max(0, self.done - self.shown))
