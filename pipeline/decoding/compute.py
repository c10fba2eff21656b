"""What is missing of a plan goes into the store, with a bar that says how fast."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline.decoding.forest import Work
from pipeline.decoding.model import load_model
from pipeline.decoding.plan import Job, Plan, Text
from pipeline.decoding.resolve import CALIBRATION_PROMPTS, bases_to_calibrate, with_scales
from pipeline.decoding.runner import run_missing, unpack
from pipeline.decoding.store import Store
from pipeline.events import Log
from pipeline.routing.cells import Decoder
from pipeline.settings import Settings


def calibrate(
    settings: Settings, plan: Plan, folder: Path, store: Store, log: Log
) -> tuple[Plan, list[Text], Work, float]:
    """The plan with calibrated entropy gates; what that takes is computed, or is there already.

    Also the texts that were computed for it, the model's work and the seconds.

    It takes texts without routes after the first prompts, which are cells of most grids anyway.
    """
    jobs = {base: Job(Decoder(base), "") for base in bases_to_calibrate(plan.cells)}
    if not jobs:
        return plan, [], Work(), 0.0
    examples = plan.examples[:CALIBRATION_PROMPTS]
    texts = {base: plan.texts(job, examples, samples=1) for base, job in jobs.items()}
    missing = absent([text for some in texts.values() for text in some], store)
    work, seconds = compute(settings, plan, missing, folder, store, log)

    entropies = {}
    for base, some in texts.items():
        values = store.get([text.key for text in some])
        entropies[base] = np.concatenate([unpack(values[text.key]).entropies for text in some])
    cells = with_scales(plan.cells, entropies, plan.vocabulary)
    return replace(plan, cells=tuple(cells)), missing, work, seconds


def missing_texts(plan: Plan, store: Store) -> list[Text]:
    return absent([text for job in plan.jobs() for text in plan.texts_of(job)], store)


def absent(texts: list[Text], store: Store) -> list[Text]:
    there = store.present([text.key for text in texts])
    return [text for text in texts if text.key not in there]


def compute(
    settings: Settings, plan: Plan, texts: list[Text], folder: Path, store: Store, log: Log
) -> tuple[Work, float]:
    """Put texts into the store; returns the model's work and the seconds that it took."""
    if not texts:
        return Work(), 0.0
    started, steps = time.perf_counter(), plan.task.max_new_tokens
    jobs = len({text.job for text in texts})
    bar = tqdm(
        total=len(texts) * steps,
        desc=f"{plan.task.name}, {jobs} decoders",
        unit="tok",
        mininterval=1 if sys.stderr.isatty() else 15,
    )
    done = 0

    def on_unit(count: int) -> None:  # texts that ended early count as whole
        nonlocal done
        done += count
        bar.update(done * steps - bar.n)
        log("tokens_per_second", done * steps / (time.perf_counter() - started), done)

    work = run_missing(
        load=partial(load_model, folder, settings.dtype, settings.device, plan.task.target_code),
        plan=plan,
        texts=texts,
        store=store,
        batch_size=settings.batch_size,
        max_rows=settings.max_rows,
        workers=settings.workers,
        on_step=bar.update,
        on_unit=on_unit,
    )
    bar.close()
    log("tokens_per_model_row", work.delivered / work.rows, done)
    return work, time.perf_counter() - started
