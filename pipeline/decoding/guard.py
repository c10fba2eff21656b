"""A unit that fails is not the end of a run: too little memory is met with smaller batches, and an example that
raises is found and named, while the texts of all others are made.

No text depends on the batch that it was made in, so nothing of this changes a byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from pipeline.checks import PipelineError, short
from pipeline.decoding.forest import Work
from pipeline.decoding.members import Trajectory
from pipeline.decoding.plan import Plan, Text
from pipeline.decoding.runner import Ready, run_unit

SMALLEST = 2  # rows of a model call; one alone would be rounded otherwise


@dataclass
class Done:
    """What came of a unit. The work of attempts that failed is not counted."""

    found: dict[bytes, Trajectory] = field(default_factory=dict)
    work: Work = field(default_factory=Work)
    failed: dict[str, str] = field(default_factory=dict)  # example id → why
    batch_size: int = 0  # the smallest that was needed

    def __iadd__(self, other: Done) -> Done:
        self.found |= other.found
        self.work += other.work
        self.failed |= other.failed
        self.batch_size = min(self.batch_size or other.batch_size, other.batch_size)
        return self


def run_guarded(
    ready: Ready, texts: list[Text], on_step: Callable[[int], None], plan: Plan, batch_size: int
) -> Done:
    """Texts of a unit. Raises `PipelineError` alone: bad settings are bad for all texts."""
    batch_size = min(batch_size, ready.most_rows or batch_size)  # what an earlier unit has found out
    try:
        found, work = run_unit(ready, texts, on_step, plan, batch_size)
        return Done(found, work, {}, batch_size)
    except PipelineError:
        raise
    except Exception as error:
        lack = out_of_memory(error)
        why = short(f"{type(error).__name__}: {error}", 300)
    # Outside of the handler, so that the traceback no longer holds the tensors of the attempt.
    if lack and (batch_size > SMALLEST or len(texts) > 1):
        ready.most_rows = max(SMALLEST, batch_size // 2)
        return _in_halves(ready, texts, on_step, plan, ready.most_rows)
    if len({text.example for text in texts}) == 1:
        return Done({}, Work(), {texts[0].example.id: why}, batch_size)
    return _in_halves(ready, texts, on_step, plan, batch_size)


def _in_halves(
    ready: Ready, texts: list[Text], on_step: Callable[[int], None], plan: Plan, batch_size: int
) -> Done:
    """Half of the examples at a time, or of the texts of one, and so half of the cache."""
    examples = list(dict.fromkeys(text.example for text in texts))
    first = set(examples[: len(examples) // 2])
    halves = [[t for t in texts if t.example in first], [t for t in texts if t.example not in first]]
    if len(examples) == 1:
        halves = [texts[: len(texts) // 2], texts[len(texts) // 2 :]]
    done = Done()
    for half in halves:
        if half:
            done += run_guarded(ready, half, on_step, plan, batch_size)
    return done


def out_of_memory(error: Exception) -> bool:
    """PyTorch has a class of its own for GPUs alone."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("can't allocate memory", "not enough memory", "bad_alloc")
    )
