"""What is missing of a plan goes into the store, with a bar that says how fast."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.decoding.execute import executor_of, run_units
from pipeline.decoding.forest import Work
from pipeline.decoding.model import load_model
from pipeline.decoding.plan import Job, Plan, Text
from pipeline.decoding.resolve import CALIBRATION_PROMPTS, bases_to_calibrate, with_scales
from pipeline.decoding.runner import grouped, units, unpack
from pipeline.decoding.store import Store
from pipeline.events import Log
from pipeline.progress import Progress, Tally
from pipeline.routing.cells import Decoder
from pipeline.settings import Settings

HELD = 65_536  # texts whose keys are looked up at once, unless one example has more


def calibrate(
    settings: Settings, plan: Plan, folder: Path, store: Store, log: Log
) -> tuple[Plan, Computed]:
    """The plan with calibrated entropy gates; what that takes is computed, or is there already.

    It takes texts without routes after the first prompts, which are cells of most grids anyway.
    """
    jobs = {base: Job(Decoder(base), "") for base in bases_to_calibrate(plan.cells)}
    if not jobs:
        return plan, Computed()
    examples = plan.examples[:CALIBRATION_PROMPTS]
    texts = {base: plan.texts(job, examples, samples=1) for base, job in jobs.items()}
    missing = store.absent((text, text.key) for some in texts.values() for text in some)
    spent = compute(settings, plan, lambda: grouped(missing), folder, store, log)

    entropies = {}
    for base, some in texts.items():
        values = store.take([text.key for text in some])
        entropies[base] = np.concatenate([unpack(values[text.key]).entropies for text in some])
    cells = with_scales(plan.cells, entropies, plan.vocabulary)
    return replace(plan, cells=tuple(cells)), spent


def missing_texts(plan: Plan, store: Store) -> Iterator[list[Text]]:
    """The texts of each example that are not in the store; examples without any are left out."""
    jobs = plan.jobs()
    at_once = max(1, min(64, HELD // (len(jobs) * plan.task.samples)))  # examples
    for start in range(0, len(plan.examples), at_once):
        examples = plan.examples[start : start + at_once]
        by_job = [plan.texts(job, examples, plan.task.samples) for job in jobs]
        yield from grouped(store.absent((text, text.key) for texts in by_job for text in texts))


@dataclass(frozen=True)
class Computed:
    """What a call of `compute` took."""

    work: Work = field(default_factory=Work)
    seconds: float = 0.0
    decoders: frozenset[Job] = frozenset()

    def __add__(self, other: Computed) -> Computed:
        work = Work()
        work += self.work
        work += other.work
        return Computed(work, self.seconds + other.seconds, self.decoders | other.decoders)


def compute(
    settings: Settings,
    plan: Plan,
    groups: Callable[[], Iterable[list[Text]]],
    folder: Path,
    store: Store,
    log: Log,
    announce: Callable[[int], None] = lambda texts: None,
) -> Computed:
    """Put texts into the store. groups: as of `missing_texts`; asked twice, to count and to run.

    announce: called with their number before any is made.
    """
    started, steps = time.perf_counter(), plan.task.max_new_tokens
    total, decoders = 0, set[Job]()
    for group in groups():
        total += len(group)
        decoders |= {text.job for text in group}
    if not total:
        return Computed()
    announce(total)
    tally = Tally(lambda told: show(told, total * steps))

    def on_unit(texts: int) -> None:  # those that ended early count as whole
        tally.finish(texts * steps)
        log("tokens_per_second", tally.done / (time.perf_counter() - started), tally.done // steps)

    with Progress(f"{plan.task.name}, {len(decoders)} decoders", "tok") as show:
        tally.step(0)
        work = run_units(
            partial(load_model, folder.resolve(), settings.dtype, settings.device, plan.task.target_code),
            plan, units(groups(), settings.max_rows), store, settings.batch_size, executor_of(settings),
            tally.step, on_unit,
        )  # fmt: skip
    log("tokens_per_model_row", work.delivered / work.rows, tally.done // steps)
    return Computed(work, time.perf_counter() - started, frozenset(decoders))
