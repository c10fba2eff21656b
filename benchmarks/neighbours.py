"""How much slower a run is beside busy processes, with OpenMP threads that sleep while they wait, look, or spin.

`python -m benchmarks.neighbours` decodes a few texts of the grid in new processes, quiet and busy in both orders,
and writes `reports/neighbours.json`. Nothing else may run on the machine; about ten minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median
from typing import Any

from benchmarks.repeat import busy, quiet
from benchmarks.workload import routing_only, settings_on_cpu, workload
from random_routing import threads
from random_routing.files import write_json
from random_routing.models.loading import load_model
from random_routing.runs.blocks import grouped, make_ready, run_block, units
from random_routing.runs.cost import machine

EXAMPLES, STEPS, TASK = 4, 16, "textgen"
# How often a waiting thread looks before it sleeps: never, as of runs that begin beside others at work; as of runs that
# begin on a quiet machine; GNU OpenMP's own default.
POLICIES = {"sleep": "0", "look": threads.LOOKS, "spin": "300000"}
ORDER = ("quiet", "busy", "busy", "quiet")
ROUNDS = 1


def main() -> None:
    seconds: dict[str, dict[str, list[float]]] = {policy: {"quiet": [], "busy": []} for policy in POLICIES}
    for _ in range(ROUNDS):
        for kind in ORDER:
            for policy, value in POLICIES.items():
                with busy() if kind == "busy" else quiet():
                    seconds[policy][kind].append(once(value))
                print(policy, kind, f"{seconds[policy][kind][-1]:.1f} s", flush=True)
    policies = {
        policy: {
            **{kind: median(times) for kind, times in kinds.items()},
            "slower": median(kinds["busy"]) / median(kinds["quiet"]),
            "all": kinds,
        }
        for policy, kinds in seconds.items()
    }
    write_json(
        "reports/neighbours.json", {"machine": machine(), "cores": os.cpu_count(), **policies}, indent=1
    )


def sentence(report: dict[str, Any]) -> str:
    """What the report shows."""
    sleep, look, spin = (report[policy] for policy in POLICIES)
    return (
        f"A small block takes {look['quiet']:.1f} s on {report['cores']} quiet cores with threads that look for a "
        "moment before they sleep, as a run has them that begins on a quiet machine, and "
        f"{sleep['quiet']:.1f} s with those that sleep at once, as one has them that begins beside others at work. "
        f"Beside two busy processes it takes {look['busy']:.1f} s and {sleep['busy']:.1f} s; with threads that spin, "
        f"as OpenMP's do by default, {spin['quiet']:.1f} s and {spin['busy']:.1f} s."
    )


def once(spins: str) -> float:
    """Seconds of the decoding alone, in a process of its own: OpenMP reads the number when it is loaded."""
    command = [sys.executable, "-m", "benchmarks.neighbours", "decode"]
    result = subprocess.run(
        command, env={**os.environ, "GOMP_SPINCOUNT": spins}, capture_output=True, text=True, check=True
    )
    return float(result.stdout.split()[-1])


def decode() -> None:
    settings = settings_on_cpu()
    work = workload(settings, TASK, routing_only(settings, TASK), EXAMPLES, max_new_tokens=STEPS)
    ready = make_ready(lambda: load_model(work.folder), work.plan.prefix)
    blocks = list(units(grouped(work.texts), settings.max_rows))
    run_block(ready, work.plan, blocks[0][:4], settings.batch_size)  # compiled and laid out
    began = time.perf_counter()
    for block in blocks:
        run_block(ready, work.plan, block, settings.batch_size)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    decode() if sys.argv[1:] == ["decode"] else main()
