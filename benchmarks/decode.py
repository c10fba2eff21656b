"""Compare this decoder with a loop over Hugging Face's `generate`: `python -m benchmarks.decode`.

All parts run in turn in one call, each in a fresh process, on the default grid and real prompts.
Writes `reports/benchmark.json` and `reports/benchmark.png`, prints a table. Needs the assets
(`make assets`), nothing else at work on the machine, and about ten minutes.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.figure import draw
from benchmarks.measure import PARTS
from random_routing.files import write_json
from random_routing.settings import load_settings

TASKS = ("textgen", "translation")  # SmolLM2 and Gemma 3
DTYPES = ("float32", "bfloat16")


def apart(part: str, task: str, dtype: str) -> Any:
    """Run a part in a process of its own, so that memory and threads are its own."""
    print(f"benchmark: {part}, {task}, {dtype}", file=sys.stderr, flush=True)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(PARTS[part], task, dtype).result()


def main() -> None:
    settings, started = load_settings(), time.perf_counter()
    result: dict[str, Any] = {
        "machine": {
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "multiply_peak_gflops": {dtype: apart("peak", "", dtype) for dtype in DTYPES},
        },
        "runs": [],
    }
    for task in TASKS:
        for dtype in DTYPES:
            run = {"task": task, "model": settings.tasks[task].model, "dtype": dtype,
                   "library": apart("library", task, dtype), **apart("ours", task, dtype)}  # fmt: skip
            result["runs"].append({**run, "ratios": ratios(run, result["machine"])})
    result["growth"] = apart("growth", "textgen", "float32")
    result["seconds"] = time.perf_counter() - started
    write_json("reports/benchmark.json", result)
    draw(result, Path("reports/benchmark.png"))
    print(table(result))


def ratios(run: dict[str, Any], machine: dict[str, Any]) -> dict[str, float]:
    """Speeds against the loop over `generate`, and the step against the multiply peak."""
    loop = run["library"]["tokens_per_second"]
    peak = machine["multiply_peak_gflops"][run["dtype"]]
    return {
        "no_sharing": run["no_sharing"]["tokens_per_second"] / loop,
        "sharing_routing": run["sharing_routing"]["tokens_per_second"] / loop,
        "sharing_all": run["sharing_all"]["tokens_per_second"] / loop,
        "step_of_peak": run["model_step"]["gflop_per_second"] / peak,
    }


def processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


HEADER = (
    "| model, dtype | way | cells | tokens/s | × loop | rows | rows saved | model step | peak memory |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def table(result: dict[str, Any]) -> str:
    """The comparison as a Markdown table."""
    lines = [HEADER]
    for run in result["runs"]:
        name, loop = f"{run['model']}, {run['dtype']}", run["library"]
        lines.append(
            f"| {name} | loop over `generate`, batch {loop['batch_size']} | {loop['cells_timed']} "
            f"| {loop['tokens_per_second']:.0f} | 1 | | | | {loop['peak_memory_gib']:.1f} GiB |"
        )
        for way, label in WAYS.items():
            part = run[way]
            lines.append(
                f"| {name} | {label} | {part['cells']} | {part['tokens_per_second']:.0f} "
                f"| {run['ratios'][way]:.1f} | {part['rows']:,} | {part['rows_saved']:.0%} "
                f"| {part['share_model']:.0%} of time | {part['peak_memory_gib']:.1f} GiB |"
            )
    lines.append("")
    for run in result["runs"]:
        step, share = run["model_step"], run["ratios"]["step_of_peak"]
        lines.append(
            f"Bare step, {run['model']}, {run['dtype']}, batch {step['batch_size']}: "
            f"{step['rows_per_second']:.0f} rows/s, {step['gflop_per_second']:.0f} GFLOP/s, "
            f"{share:.0%} of the measured multiply peak."
        )
    return "\n".join(lines)


WAYS = {
    "no_sharing": "this decoder, nothing shared",
    "sharing_routing": "this decoder, routing grid",
    "sharing_all": "this decoder, grid and baselines",
}


if __name__ == "__main__":
    main()
