"""What a stage took, in `data/cost/<stage>-<task>.json`: of the last run that computed texts, on its machine."""

from __future__ import annotations

import os
import platform
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from random_routing.decode.row_counts import Work
from random_routing.files import read_json, write_json


@dataclass(frozen=True)
class Cost:
    stage: str
    texts: int
    tokens: int  # of all texts, as a loop over them would make or score them
    rows: int  # rows of model calls
    seconds: float
    peak_gib: float  # of the process, or of the largest of its workers
    stored_mib: float
    checked: int  # values that were made again at the end, with the same bits
    dtype: str
    machine: str


def path(stage: str, task: str) -> Path:
    return Path("data/cost") / f"{stage}-{task}.json"


def write_cost(
    stage: str, task: str, work: Work, seconds: float, dtype: str, stored: Path, checked: int
) -> Cost | None:
    """Nothing computed: what an earlier run took stays; before any, the file says that nothing was.

    stored: the file or folder that the stage has written.
    """
    place = path(stage, task)
    if not work.texts:
        if not place.exists():
            write_json(place, None)
        return None
    cost = Cost(
        stage=stage, texts=work.texts, tokens=work.delivered, rows=work.rows, seconds=seconds, peak_gib=peak_gib(),
        stored_mib=mib(stored), checked=checked, dtype=dtype, machine=machine(),
    )  # fmt: skip
    write_json(place, asdict(cost), indent=2)
    return cost


def read_costs(task: str) -> list[Cost]:
    """Of all stages that have computed something for a task."""
    records = [read_json(path(stage, task)) for stage in ("generate", "evaluate", "tune")]
    return [Cost(**record) for record in records if record is not None]


def last_speed(stage: str, task: str, dtype: str) -> float:
    """Tokens per second of the last run in this dtype on this machine; 0 where none is known."""
    place = path(stage, task)
    record = read_json(place) if place.exists() else None
    if record is None or (record["dtype"], record["machine"]) != (dtype, machine()):
        return 0.0
    return float(record["tokens"] / record["seconds"])


def peak_gib() -> float:
    unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, KiB elsewhere
    return (
        max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        / unit
    )


def mib(stored: Path) -> float:
    files = stored.iterdir() if stored.is_dir() else [stored]
    return sum(file.stat().st_size for file in files) / 2**20


def machine() -> str:
    """Processor, cores, memory."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB"
