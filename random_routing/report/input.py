"""What the report is made of: all results of a task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from random_routing.results.measured import Measured, read_measured
from random_routing.results.tuned import Tuned, read_tuned


@dataclass(frozen=True)
class Results:
    measured: Measured
    tuned: Tuned | None  # None: switched off


def read_results(tasks: Iterable[str]) -> dict[str, Results]:
    """Task → results. Raises `PipelineError` naming a file that is missing or of another form."""
    return {task: Results(read_measured(task), read_tuned(task)) for task in tasks}
