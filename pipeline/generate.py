"""Stage generate: every cell of a task's grid → `data/generations/<task>/<cell>.parquet`.

Only texts that are not in the store are computed; cells that left the grid are removed.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tqdm import tqdm

from pipeline import stage
from pipeline.checks import choice
from pipeline.cost import Cost, write_cost
from pipeline.decoding.cellfile import write_cell
from pipeline.decoding.forest import Work
from pipeline.decoding.members import Trajectory
from pipeline.decoding.model import load_model, load_tokenizer
from pipeline.decoding.plan import Job, Plan, Text
from pipeline.decoding.prepared import plan_task
from pipeline.decoding.resolve import (
    CALIBRATION_PROMPTS,
    bases_to_calibrate,
    with_scales,
)
from pipeline.decoding.runner import run_missing, unpack
from pipeline.decoding.store import Store, open_store
from pipeline.events import Log, events
from pipeline.routing.cells import Decoder, all_cells
from pipeline.settings import Settings, load_settings
from pipeline.tasks import TASKS


def main(argv: list[str]) -> None:
    settings = load_settings()
    task = settings.tasks[choice("generate", stage.argument(argv, "a task"), settings.tasks)]
    folder = Path("data/assets") / task.model
    tokenizer = load_tokenizer(folder, task.source_code)
    cells = all_cells(settings, task)
    plan = plan_task(settings, task, cells, folder, tokenizer)
    with open_store("generate") as store, events(settings, "generate", task.name) as log:
        plan, first, work, seconds = calibrate(settings, plan, folder, store, log)
        texts = missing_texts(plan, store)
        more, longer = compute(settings, plan, texts, folder, store, log)
        work += more
        write_cells(plan, store, tokenizer, Path("data/generations") / task.name, log)
    texts += first
    made = Path("data/generations") / task.name
    spent = write_cost("generate", task.name, work, seconds + longer, settings.dtype, made)
    distinct, said = len(plan.jobs()), summary(spent, len({text.job for text in texts}))
    stage.say(
        "generate",
        f"{task.name}: {len(cells)} cells ({distinct} distinct decoders) of "
        f"{len(plan.examples) * task.samples} texts in data/generations/{task.name}; {said}",
    )


def summary(spent: Cost | None, decoders: int) -> str:
    """A phrase on what was computed."""
    if spent is None:
        return "all of them were there already"
    return (
        f"computed {decoders} decoders, {spent.texts} texts, {spent.tokens} tokens with {spent.rows} model rows "
        f"({spent.tokens / spent.rows:.2f} tokens a row) in {spent.seconds:.0f} s, "
        f"{spent.tokens / spent.seconds:.0f} tokens/s"
    )


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


def write_cells(plan: Plan, store: Store, tokenizer: Any, folder: Path, log: Log) -> None:
    """Assemble every cell from the store; remove files of cells that left the grid."""
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    for cell in plan.cells:
        texts = plan.texts_of(plan.job_of(cell))
        values = store.get([text.key for text in texts])
        rows = [to_row(text, unpack(values[text.key]), tokenizer, plan) for text in texts]
        metadata = {
            "task": plan.task.name,
            "cell": cell.describe(),
            "settings": plan.shared_key,
            "key": plan.cell_key(cell),
            "versions": versions,
        }
        write_cell(folder / f"{cell.name}.parquet", rows, metadata)
        routes, entropies = ([x for row in rows for x in row[name]] for name in ("routes", "entropies"))
        if routes:
            log(f"gate_rate/{cell.name}", float(np.mean(np.array(routes) > 0)), 0)
            log(f"mean_entropy/{cell.name}", float(np.mean(entropies)), 0)
    wanted = {f"{cell.name}.parquet" for cell in plan.cells}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()


def to_row(text: Text, trajectory: Trajectory, tokenizer: Any, plan: Plan) -> dict[str, Any]:
    ids = trajectory.token_ids.tolist()
    decoded = tokenizer.decode(ids, skip_special_tokens=True)
    if TASKS[plan.task.name].stop_at_newline:
        decoded = decoded.split("\n")[0]
    return {
        "example_id": text.example.id,
        "sample": text.sample,
        # A continuation goes on where its prompt ends, so its first space belongs to it.
        "text": decoded if plan.task.name == "textgen" else decoded.strip(),
        "token_ids": ids,
        "routes": trajectory.routes.tolist(),
        "logprobs": trajectory.logprobs.astype(np.float32).tolist(),
        "model_logprobs": trajectory.model_logprobs.astype(np.float32).tolist(),
        "ranks": trajectory.ranks.tolist(),
        "entropies": trajectory.entropies.tolist(),
        "finish": "eos" if trajectory.ended else "length",
    }


if __name__ == "__main__":
    stage.run(main)
