"""What is missing of a plan goes into the store, with a bar that says how fast."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from random_routing.decode.row_counts import Work
from random_routing.errors import PipelineError
from random_routing.law.cells import Decoder
from random_routing.models.loading import load_model
from random_routing.models.memory import Warn
from random_routing.models.network import LanguageModel
from random_routing.progress import Progress, Tally
from random_routing.runs.blocks import grouped, make_ready, units
from random_routing.runs.calibration import CALIBRATION_PROMPTS, bases_to_calibrate, with_scales
from random_routing.runs.executors import Executor, executor_of
from random_routing.runs.failures import Done, run_despite_failures
from random_routing.runs.packed_texts import pack, unpack
from random_routing.runs.plan import Job, Plan, Text
from random_routing.runs.recheck import Sample
from random_routing.runs.store import Store
from random_routing.runs.tensorboard import Log
from random_routing.settings import Settings, Task

MOST_FAILED = 20  # examples; with more of them something else is wrong
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
    missing = store.absent((text, text.key) for of_base in texts.values() for text in of_base)
    spent = compute(settings, plan, lambda: grouped(missing), folder, store, log)

    entropies = {}
    for base, of_base in texts.items():
        values = store.take([text.key for text in of_base])
        entropies[base] = np.concatenate([unpack(values[text.key]).entropies for text in of_base])
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
    sample: Sample[Text] = field(default_factory=Sample)

    def __add__(self, other: Computed) -> Computed:
        work, sample = Work(), Sample[Text]()
        for part in (self, other):
            work += part.work
            sample.merge(part.sample)
        return Computed(work, self.seconds + other.seconds, self.decoders | other.decoders, sample)


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
    sample, decoders = Sample[Text](), set[Job]()
    for group in groups():
        sample.add((text.key, text) for text in group)
        decoders |= {text.job for text in group}
    if not (total := sample.seen):
        return Computed()
    announce(total)
    tally = Tally(lambda steps_done: show(steps_done, total * steps))

    def on_unit(texts: int) -> None:  # those that ended early count as whole
        tally.finish(texts * steps)
        log("tokens_per_second", tally.done / (time.perf_counter() - started), tally.done // steps)

    with Progress(f"{plan.task.name}, {len(decoders)} decoders", "tok") as show:
        tally.step(0)
        work = run_units(
            generator_loader(settings, plan.task, folder),
            plan,
            units(groups(), settings.max_rows),
            store,
            settings.batch_size,
            executor_of(settings),
            tally.step,
            on_unit,
        )
    log("tokens_per_model_row", work.delivered / work.rows, tally.done // steps)
    return Computed(work, time.perf_counter() - started, frozenset(decoders), sample)


def run_units(
    load: Callable[[], LanguageModel],
    plan: Plan,
    units: Iterable[list[Text]],
    store: Store,
    batch_size: int,
    execute: Executor,
    on_step: Callable[[int], None] = lambda count: None,
    on_unit: Callable[[int], None] = lambda count: None,
) -> Work:
    """Put the texts of `units` into the store, unit by unit; an interruption loses one per worker.

    Raises `PipelineError` at the end that names the examples which could not be run; all others are kept.
    """
    total, failed, warn = Work(), dict[str, str](), Warn(batch_size)
    run = partial(run_despite_failures, plan=plan, batch_size=batch_size)
    done: Done
    for done in execute(
        partial(make_ready, load, plan.prefix, plan.shared_key["numerics"]), run, units, on_step
    ):
        store.put({key: pack(trajectory) for key, trajectory in done.found.items()})
        total += done.work
        total.texts += len(done.found)
        on_unit(len(done.found))
        failed |= done.failed
        warn(done.batch_size)
        if not done.found and len(done.failed) > 1 and len({*done.failed.values()}) == 1:
            raise PipelineError(
                f"data/assets/{plan.task.model}: all {len(done.failed)} examples that ran together fail in one way "
                f"({next(iter(done.failed.values()))}); the model or the machine is at fault, not an example; what was "
                "made is kept"
            )
        if len(failed) > MOST_FAILED:
            break
    if failed:
        named = "; ".join(f"{name} ({why})" for name, why in list(failed.items())[:5])
        stopped = len(failed) > MOST_FAILED
        rest = "; stopped there, what was made is kept" if stopped else "; the texts of all others are made"
        raise PipelineError(
            f"data/prepared/{plan.task.name}.jsonl: {len(failed)} examples could not be run: {named}"
            f"{'; …' if len(failed) > 5 else ''}{rest}"
        )
    return total


def generator_loader(settings: Settings, task: Task, folder: Path) -> Callable[[], LanguageModel]:
    """Loads the task's generator, in other processes too."""
    return partial(load_model, folder.resolve(), settings.dtype, settings.device, task.target_code)


def remade(
    settings: Settings,
    plan: Plan,
    sample: Sample[Text],
    load: Callable[[], LanguageModel],
    execute: Executor | None = None,
) -> Iterator[dict[bytes, bytes]]:
    """Key → bytes of texts that are made again, a lot at a time, beside other texts than the first time. None of a
    server, which need not give the same bits twice.
    """
    if not sample.seen or plan.served:
        return
    lots = sample.lots(lambda text: (text.job.decoder.beams, plan.room(text.example)))
    run = partial(run_despite_failures, plan=plan, batch_size=settings.batch_size)
    ready = partial(make_ready, load, plan.prefix, plan.shared_key["numerics"])
    done: Done
    for done in (execute or executor_of(settings))(ready, run, lots, lambda count: None):
        yield {key: pack(trajectory) for key, trajectory in done.found.items()}
