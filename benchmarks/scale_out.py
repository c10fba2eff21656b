"""What more workers, other blocks and larger grids cost: `python -m benchmarks.scale_out`, 15 minutes on two cores.

Writes reports/scale_out.json; docs/scale.md shows its tables and builds its estimate on them.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.workload import Workload, routing_only, settings_on_cpu, workload
from random_routing.files import write_json
from random_routing.models.loading import load_model
from random_routing.runs.blocks import Ready, grouped, make_ready, run_block, units
from random_routing.runs.cost import machine
from random_routing.runs.executors import Executor
from random_routing.runs.generation import run_units
from random_routing.runs.packed_texts import pack
from random_routing.runs.processes import in_processes
from random_routing.runs.ray_workers import on_ray
from random_routing.runs.store import Store
from random_routing.settings import Cluster, Settings

TASK, STEPS, SIDE = "textgen", 16, 20
FEW, MANY = 4, 12  # blocks; the difference of two runs is free of set-up
PARTS = (1, 2, 4, 8)  # in how many units an example's cells are cut
BLOCKS = (1, 2, 4, 8, 16)  # examples


def main() -> None:
    settings = settings_on_cpu()
    cells = [c for c in routing_only(settings, TASK) if not c.decoder.q_route.structural]
    result = {
        "machine": machine(), "task": TASK, "dtype": settings.dtype, "steps": STEPS,
        "executors": executors(settings, workload(settings, TASK, cells, MANY, max_new_tokens=STEPS)),
        **in_pieces(settings, workload(settings, TASK, cells, max(BLOCKS), max_new_tokens=STEPS)),
        "grid": large_grid(settings),
    }  # fmt: skip
    write_json("reports/scale_out.json", result, indent=2)
    print(executor_table(result), piece_table(result), estimate_table(result), sep="\n\n")


def executors(settings: Settings, work: Workload) -> list[dict[str, Any]]:
    """Of each executor with one CPU per worker: seconds = set-up + blocks · cost / workers."""
    ways: list[tuple[str, int, Executor]] = [
        ("local", 1, partial(in_processes, workers=1)),
        ("local", 2, partial(in_processes, workers=2)),
        ("ray", 1, partial(on_ray, cluster=Cluster("", 1, 1, 0))),
        ("ray", 2, partial(on_ray, cluster=Cluster("", 2, 1, 0))),
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of the one local worker, which is this process
    costs = []
    for name, workers, execute in ways:
        few, many = (seconds(settings, work, blocks, execute) for blocks in (FEW, MANY))
        slope = (many - few) / (MANY - FEW)
        costs.append({
            "executor": name, "workers": workers, "few": few, "many": many, "block": slope,
            "set_up": many - MANY * slope,
        })  # fmt: skip
    torch.set_num_threads(threads)
    return costs


def seconds(settings: Settings, work: Workload, blocks: int, execute: Executor) -> float:
    """Of a run with a block per example."""
    groups = list(grouped(work.texts))[:blocks]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        load = partial(load_model, work.folder.resolve(), settings.dtype)
        store = Store(Path(folder) / "rows.sqlite")
        run_units(load, work.plan, units(groups, len(groups[0])), store, settings.batch_size, execute)
        spent = time.perf_counter() - started
        store.close()
    return spent


def in_pieces(settings: Settings, work: Workload) -> dict[str, list[dict[str, Any]]]:
    """Blocks of more examples, and an example's cells cut into several units."""
    ready = make_ready(lambda: load_model(work.folder, settings.dtype), work.plan.prefix)
    groups = list(grouped(work.texts))
    blocks = []
    for count in BLOCKS:
        texts = [text for group in groups[:count] for text in group]
        spent, rows = timed(ready, work, [texts], settings.batch_size)
        blocks.append({"examples": count, "texts": len(texts), "seconds": spent, "rows": rows})
    pieces = []
    for parts in PARTS:
        # neighbours in the grid stay together
        cut = [g[i * len(g) // parts : (i + 1) * len(g) // parts] for g in groups[:4] for i in range(parts)]
        spent, rows = timed(ready, work, cut, settings.batch_size)
        pieces.append({"parts": parts, "seconds": spent, "rows": rows})
    return {"blocks": blocks, "pieces": pieces}


def timed(ready: Ready, work: Workload, parts: list[Any], batch_size: int) -> tuple[float, int]:
    started, rows = time.perf_counter(), 0
    for texts in parts:
        rows += run_block(ready, work.plan, texts, batch_size)[1].rows
    return time.perf_counter() - started, rows


def large_grid(settings: Settings) -> dict[str, Any]:
    """400 cells of two different routes, whole texts: rows of the model, tokens of the cells, bytes of the store."""
    rates = (0.0, *(0.001 * 300 ** (i / (SIDE - 2)) for i in range(SIDE - 1)))
    name = "plausible"
    large = replace(settings, q=rates, lambdas=rates, variants={name: settings.variants[name]})
    work = workload(large, TASK, routing_only(large, TASK), 4)
    ready = make_ready(lambda: load_model(work.folder, settings.dtype), work.plan.prefix)
    with tempfile.TemporaryDirectory() as folder:
        store, counts = Store(Path(folder) / "rows.sqlite"), {"rows": 0, "tokens": 0}
        for texts in grouped(work.texts):
            trajectories, done = run_block(ready, work.plan, texts, settings.batch_size)
            store.put({key: pack(trajectory) for key, trajectory in trajectories.items()})
            counts["rows"] += done.rows
            counts["tokens"] += sum(work.weight[t] * len(trajectories[t.key].token_ids) for t in texts)
        store.close()
        size = (Path(folder) / "rows.sqlite").stat().st_size
    return {
        **counts, "cells": work.cells, "examples": 4, "tokens_a_row": counts["tokens"] / counts["rows"],
        "distinct_texts": len(work.texts), "bytes_a_text": size / len(work.texts),
    }  # fmt: skip


# Of the run that is estimated, with the cells and text length of `large_grid`
PROMPTS, WEIGHTS = 1_000_000, 7e9
# FLOP/s of an H100 in bf16 (its data sheet), and the share that decoding reaches
PEAK, REACHED = 989e12, 0.4


def estimate_table(result: dict[str, Any]) -> str:
    """A run of a million prompts on a model of 7 billion weights; two FLOP per weight and row, attention left out."""
    grid = result["grid"]
    texts = PROMPTS * grid["cells"]
    distinct = PROMPTS * grid["distinct_texts"] / grid["examples"]  # of equal laws one is made
    tokens = texts * grid["tokens"] / (grid["cells"] * grid["examples"])
    rows = tokens / grid["tokens_a_row"]
    hours = {
        name: count * 2 * WEIGHTS / (PEAK * REACHED) / 3600
        for name, count in (("loop", tokens), ("here", rows))
    }
    units = distinct / settings_on_cpu().max_rows
    lines = [
        ("texts, and those of distinct decoders", f"{texts:.3g}, {distinct:.3g}"),
        ("tokens of all cells", f"{tokens:.3g}"),
        (f"model rows (measured: {grid['tokens_a_row']:.2f} tokens per row)", f"{rows:.3g}"),
        ("GPU hours, sharing", f"{hours['here']:.0f}"),
        ("GPU hours, a loop over cells at the same speed per row", f"{hours['loop']:.0f}"),
        (
            f"store (measured: {grid['bytes_a_text']:.0f} bytes per text)",
            f"{distinct * grid['bytes_a_text'] / 1e12:.2f} TB",
        ),
        (f"units of {settings_on_cpu().max_rows} texts", f"{units:.3g}"),
        ("seconds of one unit on one GPU", f"{hours['here'] * 3600 / units:.1f}"),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in lines)])


def executor_table(result: dict[str, Any]) -> str:
    lines = [
        "| executor | workers | 4 blocks | 12 blocks | per block | set-up |",
        "|---|---|---|---|---|---|",
    ]
    for way in result["executors"]:
        lines.append(
            f"| {way['executor']} | {way['workers']} | {way['few']:.1f} s | {way['many']:.1f} s | "
            f"{way['block']:.2f} s | {way['set_up']:.1f} s |"
        )
    return "\n".join(lines)


def piece_table(result: dict[str, Any]) -> str:
    lines = ["| examples in a block | texts | ms per text | rows per text |", "|---|---|---|---|"]
    for block in result["blocks"]:
        texts = block["texts"]
        lines.append(
            f"| {block['examples']} | {texts} | {1000 * block['seconds'] / texts:.1f} | {block['rows'] / texts:.2f} |"
        )
    first = result["pieces"][0]
    lines += ["", "| units an example is cut into | rows | sharing lost | seconds |", "|---|---|---|---|"]
    for piece in result["pieces"]:
        lost = piece["rows"] / first["rows"] - 1
        lines.append(f"| {piece['parts']} | {piece['rows']} | {lost:.0%} | {piece['seconds']:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
