"""How many texts change with the processor's instruction set: `python -m benchmarks.instruction_sets`.

Each set runs in a process of its own, because torch and oneDNN read theirs when they start. Within a
set, batches of 64 and of 3 shuffled rows without sharing must agree; between sets, rounding differs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np

from benchmarks.workload import settings_on_cpu, without_beam, workload
from random_routing.decode.slots import apart, together
from random_routing.decode.trajectory import Trajectory
from random_routing.models.loading import load_model
from random_routing.runs.blocks import grouped, make_ready, run_block, units

SETS = {
    "as it is": {},
    "AVX-512 without BF16": {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "SSE4.1": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
}
WITHOUT_BF16 = ("AVX2", "SSE4.1")
EXAMPLES, TOKENS = 1, 16


def texts(task: str, dtype: str) -> list[list[list[int]]]:
    """Token ids of all decoders of the default grid, decoded in two different ways."""
    settings = settings_on_cpu()
    work = workload(settings, task, without_beam(settings, task), EXAMPLES, max_new_tokens=TOKENS)
    model = load_model(work.folder, dtype)
    ready = make_ready(lambda: model, work.plan.prefix)
    order = np.random.Generator(np.random.Philox(1)).permutation(len(work.texts))
    ways = []
    for portion, batch_size, grow in (
        (work.texts, 64, together),
        ([work.texts[i] for i in order][: len(order) // 2], 3, apart),
    ):
        decoded: dict[bytes, Trajectory] = {}
        for block in units(grouped(portion), settings.max_rows):
            decoded |= run_block(ready, work.plan, block, batch_size, grow)[0]
        ways.append([decoded[t.key].token_ids.tolist() if t.key in decoded else [] for t in work.texts])
    return ways


def in_set(variables: dict[str, str], task: str, dtype: str) -> list[list[list[int]]]:
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.instruction_sets", task, dtype],
        env={**os.environ, **variables}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(output.stdout.splitlines()[-1])


def compare(task: str, dtype: str) -> None:
    """Print a row of the table for each instruction set."""
    reference = None
    for name, variables in SETS.items():
        if dtype == "bfloat16" and name in WITHOUT_BF16:
            continue  # oneDNN has no bf16 products there; load_model refuses such processors
        ids, again = in_set(variables, task, dtype)
        within = sum(a != b for a, b in zip(ids, again, strict=True) if b)
        count = sum(bool(b) for b in again)
        reference = reference or ids
        changed = sum(a != b for a, b in zip(reference, ids, strict=True))
        print(f"| {task}, {dtype} | {name} | {within} of {count} | {changed} of {len(ids)} |", flush=True)


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(texts(sys.argv[1], sys.argv[2])))
        return
    print("| task, dtype | instruction set | changed by the batch | changed against the first row |")
    print("|---|---|---|---|")
    for task in ("textgen", "translation"):
        for dtype in ("float32", "bfloat16"):
            compare(task, dtype)


if __name__ == "__main__":
    main()
