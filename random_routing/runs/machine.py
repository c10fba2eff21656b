"""What `params.yaml` leaves to the machine: where models run, in how many processes, and how many rows at once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch

from random_routing.models.folder import read_shape
from random_routing.progress import say
from random_routing.runs.forecast import ITEM, free_memory, row_bytes, weight_count
from random_routing.settings import Settings, Task

ON_CPU = (256, 1_024)  # rows of a model call, and rows held at once by all workers
MOST_WORKERS = 4  # of a CPU: more hold too few rows each to share what cells have in common
FOR_WEIGHTS = 0.25  # of the free memory, at most, for the weights of all workers
PROMPT = 256  # tokens; of longer ones fewer rows fit, which is met as it happens
SHARE = 0.8  # of the free memory; the rest is for what a call needs meanwhile
MOST_ROWS, MOST_HELD = 32_768, 65_536  # more is no faster
LOGITS = 12  # bytes of a logit while tokens are chosen


def on_this_machine(settings: Settings, task: Task) -> Settings:
    """The settings with a device, and with `workers`, `batch_size` and `max_rows` where they are left out."""
    device = settings.device
    if device == "auto":
        served = settings.all_assets[task.model].served  # one device for all models of a task
        device = "cuda" if torch.cuda.is_available() and not served else "cpu"
    here = device == "cpu" and settings.executor == "local"
    workers = settings.workers or (workers_that_fit(settings, task) if here else 1)
    settings = replace(settings, device=device, workers=workers)
    rows = ON_CPU[0], max(ON_CPU[0], ON_CPU[1] // workers)
    if device == "cuda" and torch.cuda.is_available() and not (settings.batch_size and settings.max_rows):
        rows = rows_that_fit(settings, task, torch.cuda.mem_get_info()[0])
        say("model", f"{task.name}: up to {rows[0]} rows a call and {rows[1]} at once fit this GPU")
    batch_size, max_rows = settings.batch_size or rows[0], settings.max_rows or rows[1]
    return replace(settings, batch_size=batch_size, max_rows=max_rows)


def workers_that_fit(settings: Settings, task: Task) -> int:
    """Processes for the cores that there are: several of few threads are faster than one of many."""
    folders = [Path("data/assets") / name for name in (task.model, task.judge)]
    weights = max((ITEM[settings.dtype] * weight_count(folder) for folder in folders), default=0)
    fit = int(FOR_WEIGHTS * free_memory() / max(1, weights))
    return max(1, min(len(os.sched_getaffinity(0)), MOST_WORKERS, fit))


def rows_that_fit(settings: Settings, task: Task, free: int) -> tuple[int, int]:
    """Rows of a model call, and rows held at once, in `free` bytes, by the larger of generator and judge."""
    item, tokens = ITEM[settings.dtype], PROMPT + task.max_new_tokens
    fits = []
    for name in (task.model, task.judge):
        folder = Path("data/assets") / name
        if not folder.exists():
            continue
        width = read_shape(folder).logits
        room = SHARE * free / settings.workers - item * weight_count(folder)
        fits.append(rows_in(room, width, row_bytes(folder, tokens, item)))
    return min(fits, default=ON_CPU)


def rows_in(room: float, width: int, row: int) -> tuple[int, int]:
    """Rows of a model call, and rows held at once, in `room` bytes beside the weights. width: logits of a row; row:
    bytes of its keys and values."""
    call = max(2, min(MOST_ROWS, int(room / 4 / (LOGITS * width))))
    held = int((room - call * LOGITS * width) / max(1, row))
    if held < call:  # all of them in one call
        call = held = max(2, int(room / (max(1, row) + LOGITS * width)))
    return call, max(2, min(MOST_HELD, held))
