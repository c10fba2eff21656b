"""The decoder on a GPU against a loop over Hugging Face's `generate`: `python -m benchmarks.gpu [--device cpu]`.

Writes `reports/gpu.json` after every part. Needs SmolLM2, its prompts (`make assets`), a bare CUDA machine's packages
and pydantic, and under five minutes. On a CPU it runs the same parts on a small workload.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_bits import as_they_come, inverse, same_bits
from benchmarks.gpu_device import Device
from benchmarks.gpu_scores import judge
from benchmarks.gpu_speed import large, loop, machine, ours, step
from random_routing.files import read_json, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--parts", nargs="*", default=None, help="all if left out; the file keeps those that are not named"
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="after which no part is begun")
    parser.add_argument("--output", default="reports/gpu.json")
    given, began = parser.parse_args(), time.perf_counter()
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("no GPU that torch can use is here; --device cpu runs a small workload")
    on = Device(given.device)
    parts: dict[str, Callable[[Device], Any]] = {
        "machine": machine, "loop": loop, "ours": ours, "same_bits": same_bits, "inverse": inverse, "judge": judge,
        "step": step, "large": large,
    }  # fmt: skip
    alone: dict[str, Callable[[Device], Any]] = {"as_they_come": as_they_come}
    result: dict[str, Any] = read_json(given.output) if given.parts and Path(given.output).exists() else {}
    for name in given.parts or parts:
        started = time.perf_counter()
        if started - began > given.seconds:
            break
        result[name] = (parts | alone)[name](on)
        on.empty()
        result.setdefault("seconds", {})[name] = time.perf_counter() - started
        print(f"{name} ({result['seconds'][name]:.0f} s): {result[name]}", file=sys.stderr, flush=True)
        write_json(given.output, result)


if __name__ == "__main__":
    main()
