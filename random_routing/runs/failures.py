"""A unit that fails is not the end of a run: too little memory is met with smaller batches, and an example that
raises is found and named, while the texts of all others are made.

No text depends on the batch that it was made in, so nothing of this changes a byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from random_routing.decode.row_counts import Work
from random_routing.decode.trajectory import Trajectory
from random_routing.errors import PipelineError, short
from random_routing.models.memory import can_be_halved, in_two, out_of_memory, within
from random_routing.runs.blocks import Ready, run_unit
from random_routing.runs.plan import Plan, Text


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


def run_despite_failures(
    ready: Ready, texts: list[Text], on_step: Callable[[int], None], plan: Plan, batch_size: int
) -> Done:
    """Texts of a unit. Raises `PipelineError` alone: bad settings are bad for all texts."""

    def attempt(portion: list[Text], rows: int) -> Done:
        try:
            trajectories, work = run_unit(ready, portion, on_step, plan, rows)
            return Done(trajectories, work, {}, rows)
        except PipelineError:
            raise
        except Exception as error:
            if out_of_memory(error) and can_be_halved(portion, rows):
                raise
            why = short(f"{type(error).__name__}: {error}", 300)
        if len({text.example for text in portion}) == 1:
            return Done({}, Work(), {portion[0].example.id: why}, rows)
        done = Done()
        for half in _halves(portion):
            done += run_despite_failures(ready, half, on_step, plan, rows)
        return done

    done = Done()
    for part in within(ready.memory, attempt, texts, batch_size, _halves):
        done += part
    return done


def _halves(texts: list[Text]) -> list[list[Text]]:
    """Half of the examples each, or of the texts of one, and so half of the cache."""
    examples = list(dict.fromkeys(text.example for text in texts))
    if len(examples) == 1:
        return in_two(texts)
    first = set(examples[: len(examples) // 2])
    return [[t for t in texts if t.example in first], [t for t in texts if t.example not in first]]
