"""Models that raise, and models for which memory lacks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from random_routing.models.loading import load_model
from random_routing.runs.executors import Executor
from random_routing.runs.store import Store
from random_routing.scoring.judge import Scored, Scores


def load_poisoned(folder: Path, poison: tuple[int, ...]) -> Any:
    """A model that raises where one of the prompts is `poison`."""
    model = load_model(folder)
    pad = model.pad

    def poisoned(prompts: Sequence[Sequence[int]], length: int) -> Any:
        if any(tuple(prompt) == poison[-len(prompt) :] for prompt in prompts):
            raise ValueError("poison")
        return pad(prompts, length)

    object.__setattr__(model, "pad", poisoned)
    return model


JUDGED = [Scored((1, 9, 33 + i), tuple(range(40 + i, 42 + 2 * i))) for i in range(12)]


def load_small(folder: Path, most: int) -> Any:
    """A model for which memory lacks where a unit has more than `most` contexts."""
    model = load_model(folder)
    pad = model.pad

    def small(prompts: Sequence[Sequence[int]], length: int) -> Any:
        if len(prompts) > most:
            raise MemoryError("no room")
        return pad(prompts, length)

    object.__setattr__(model, "pad", small)
    return model


def judged(folder: Path, store: Store, most: int, execute: Executor, max_rows: int = 6) -> list[bytes]:
    """Scores of `JUDGED`, computed with memory for `most` contexts."""
    scores = Scores({}, store)
    work = scores.compute(
        execute, partial(load_small, folder, most), [JUDGED], 16, max_rows, lambda done, total: None
    )
    assert work.texts == len(JUDGED)
    return [values.tobytes() for values in scores.read(JUDGED)]
