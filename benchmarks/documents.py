"""Fill what is generated in README.md and docs/: `python -m benchmarks.documents`.

The text between `<!-- generated: name -->` and `<!-- end -->` comes from `reports/` and from the code, so that no
result is typed. Run it after a run or a benchmark; `tests/unit/test_readme.py` fails where a text is not up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import (
    beyond_tables,
    decode,
    evaluation,
    gpu_tables,
    neighbours,
    peer,
    run_tables,
    scale,
    scale_out,
    statistics,
)
from random_routing.files import read_json, write_text
from random_routing.report.names import metric_table

ROOT = Path(__file__).parent.parent
FILES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
MARKED = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def report(name: str) -> Any:
    return read_json(ROOT / f"reports/{name}.json")


BLOCKS: dict[str, Callable[[], str]] = {
    "answer": run_tables.answer,
    "tasks": run_tables.tasks_table,
    "kinds": run_tables.kinds_table,
    "run": lambda: run_tables.tasks_table("reports"),
    "example": run_tables.example,
    "loops": run_tables.loops_table,
    "gates": run_tables.gates_table,
    "recovery": run_tables.recovery_table,
    "likelihood": run_tables.likelihood_table,
    "tune": run_tables.tune_table,
    "repeat": run_tables.repeat_table,
    **{f"verdicts-{task}": partial(beyond_tables.verdicts, task) for task in beyond_tables.METRICS},
    **{f"decoders-{task}": partial(beyond_tables.decoders, task) for task in beyond_tables.METRICS},
    "calibrated": beyond_tables.calibrated,
    "learned": beyond_tables.learned,
    "metrics": metric_table,
    "benchmark": lambda: decode.table(report("benchmark")),
    "peer": lambda: peer.table(report("peer")),
    "neighbours": lambda: neighbours.sentence(report("neighbours")),
    "gpu": lambda: gpu_tables.speeds(report("gpu")),
    "cards": lambda: gpu_tables.cards(report("gpu")),
    "statistics": lambda: statistics.table(report("statistics")),
    "evaluation": lambda: evaluation.table(report("evaluation")),
    "executors": lambda: scale_out.executor_table(report("scale_out")),
    "pieces": lambda: scale_out.piece_table(report("scale_out")),
    "estimate": lambda: scale_out.estimate_table(report("scale_out")),
    "storage": lambda: scale.table(report("scale")["studies"]),
}


def filled(text: str) -> str:
    """The text with every generated block as it is now. Raises KeyError for a block that has no such name."""
    return MARKED.sub(lambda match: f"{match[1]}\n{BLOCKS[match[2]]().strip()}\n\n{match[3]}", text)


def main() -> None:
    for file in FILES:
        write_text(file, filled(file.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
