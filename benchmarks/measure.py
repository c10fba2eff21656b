"""The three ways to decode the grid, each measured in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks import library_loop, machine
from benchmarks.workload import Workload, routing_only, settings_on_cpu, without_beam, workload
from random_routing.decode.row_counts import Work
from random_routing.decode.slots import Grow, apart, together
from random_routing.models.loading import load_model
from random_routing.models.network import LanguageModel, pad
from random_routing.runs.blocks import grouped, make_ready, run_block, units
from random_routing.settings import Settings

LIBRARY_BATCHES = (32, 64, 128)
SEARCH_STEPS = 4  # tokens with which the loop's best batch size is found
UNSHARED_CELLS, UNSHARED_EXAMPLES = 4, 32
SHARED_EXAMPLES = 6
STEP_ROWS, STEP_REPEATS = 128, 6


def library(task: str, dtype: str) -> dict[str, Any]:
    """(a): `generate`, one cell, at its best batch size. Every cell of the loop costs the same."""
    settings = settings_on_cpu()
    work = workload(settings, task, routing_only(settings, task)[:1], max(LIBRARY_BATCHES))
    network = library_loop.load(work.folder, dtype)
    prompts = [example.prompt for example in work.plan.examples]
    ids, padding = pad(prompts, max(len(prompt) for prompt in prompts), left=True)
    stop, steps = sorted(work.plan.vocabulary.stop), work.plan.task.max_new_tokens

    def rate(batch: int, tokens: int) -> float:
        return library_loop.tokens_per_second(network, ids[:batch], padding[:batch], tokens, stop)

    rate(8, 2)  # the first call sets things up
    short = {batch: rate(batch, SEARCH_STEPS) for batch in LIBRARY_BATCHES}
    best = max(short, key=lambda batch: short[batch])
    return {
        "batch_size": best,
        "tokens_per_second_short": {str(batch): value for batch, value in short.items()},
        "cells_timed": 1,
        "tokens_per_second": rate(best, steps),
        "peak_memory_gib": machine.peak_memory_gib(),
    }


def ours(task: str, dtype: str) -> dict[str, Any]:
    """(b) and (c): this decoder without and with sharing, and its bare model step at full batch."""
    settings = settings_on_cpu()
    routing = routing_only(settings, task)
    unshared = workload(settings, task, routing[:: len(routing) // UNSHARED_CELLS][:UNSHARED_CELLS],
                   UNSHARED_EXAMPLES)  # fmt: skip
    model = load_model(unshared.folder, dtype)
    step = bare_step(model, unshared)
    return {
        "model_step": step,
        "no_sharing": decode(model, unshared, settings, grow=apart),
        "sharing_routing": decode(model, workload(settings, task, routing, SHARED_EXAMPLES), settings),
        "sharing_all": decode(
            model, workload(settings, task, without_beam(settings, task), SHARED_EXAMPLES), settings
        ),
    }


def decode(
    model: LanguageModel, work: Workload, settings: Settings, grow: Grow = together
) -> dict[str, Any]:
    """Tokens are counted once for every cell that holds them: what the loop would have computed."""
    ready = make_ready(lambda: model, work.plan.prefix)
    total, tokens = Work(), 0
    started = time.perf_counter()
    for block in units(grouped(work.texts), settings.max_rows):
        trajectories, done = run_block(ready, work.plan, block, settings.batch_size, grow)
        total += done
        tokens += sum(work.weight[text] * len(trajectories[text.key].token_ids) for text in block)
    seconds = time.perf_counter() - started
    return {
        "cells": work.cells,
        "examples": len(work.plan.examples),
        "tokens": tokens,
        "rows": total.rows,
        "tokens_per_row": tokens / total.rows,
        "rows_saved": 1 - total.rows / tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "share_model": total.model_seconds / seconds,
        "share_choice": total.choice_seconds / seconds,
        "peak_memory_gib": machine.peak_memory_gib(),
    }


@torch.inference_mode()
def bare_step(model: LanguageModel, work: Workload) -> dict[str, Any]:
    """Rows per second of the model alone at a full batch, in the middle of a text, and its arithmetic."""
    plan = work.plan
    prompts = [plan.examples[i % len(plan.examples)].prompt for i in range(STEP_ROWS)]
    length, steps = max(len(prompt) for prompt in prompts), plan.task.max_new_tokens
    ids, padding = model.pad(prompts, length)
    cache = model.new_cache(STEP_ROWS, length, steps)
    cache.cover(0, STEP_ROWS, 0)
    model.start(ids, padding, cache)
    times = []
    for _ in range(STEP_REPEATS):
        cache.cover(0, STEP_ROWS, steps // 2)
        began = time.perf_counter()
        model.step(ids[:, -1:], padding, steps // 2, cache)
        times.append(time.perf_counter() - began)
    rows = STEP_ROWS / sorted(times[1:])[len(times[1:]) // 2]  # the median
    return {"batch_size": STEP_ROWS, "rows_per_second": rows,
            "gflop_per_second": rows * machine.row_gflop(model.network)}  # fmt: skip


@dataclass(frozen=True)
class Growth:
    """One point of a cost curve: `x` of `axis`, at otherwise fixed sizes."""

    axis: str
    x: int
    cells: int
    samples: int
    tokens: int
    examples: int


GROWTH = (
    *(Growth("cells", n, n, 1, 32, 4) for n in (1, 5, 25, 100)),
    *(Growth("samples", n, 5, n, 32, 2) for n in (1, 4, 16)),
    *(Growth("tokens", n, 25, 1, n, 1) for n in (16, 64, 256)),
)


def growth(task: str, dtype: str) -> list[dict[str, Any]]:
    """Seconds and rows of the variant `plausible` (two different routes) as the run grows."""
    settings = settings_on_cpu()
    cells = grid_cells(settings, 10)
    model: LanguageModel | None = None
    points = []
    for point in GROWTH:
        chosen = cells[:: max(1, len(cells) // point.cells)][: point.cells]
        work = workload(settings, task, chosen, point.examples, samples=point.samples,
                        max_new_tokens=point.tokens)  # fmt: skip
        model = model or load_model(work.folder, dtype)
        points.append({"axis": point.axis, "x": point.x, **decode(model, work, settings)})
    return points


def grid_cells(settings: Settings, side: int) -> list[Any]:
    """side × side cells of `plausible` with rates from 0.01 to 0.3, all distinct."""
    rates = tuple(round(0.01 * 30 ** (i / (side - 1)), 6) for i in range(side))
    wide = replace(settings, q=rates, lambdas=rates,
                   variants={"plausible": settings.variants["plausible"]})  # fmt: skip
    return routing_only(wide, "textgen")


def peaks(task: str, dtype: str) -> float:
    return machine.multiply_peak(dtype)


PARTS: dict[str, Callable[[str, str], Any]] = {
    "peak": peaks,
    "library": library,
    "ours": ours,
    "growth": growth,
}
