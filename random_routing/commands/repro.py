"""`dvc repro` with its stages counted, the time that is left, and the answer at the end: what `make repro` runs.

The time is a bound: texts and scores that are left to make, at the speed of the last ones; those that the store has
take less.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator

from random_routing.commands.answer import say_answer
from random_routing.commands.signals import waiting
from random_routing.commands.workspace import dvc
from random_routing.errors import PipelineError, short
from random_routing.law.cells import all_cells, representatives
from random_routing.metrics import METRICS, metrics_of
from random_routing.runs.cost import last_speed
from random_routing.runs.forecast import duration
from random_routing.settings import Settings, load_settings

# What DVC says of a stage that it comes to.
COMES = re.compile(r"(?:Running stage|Restored stage|Stage) '([^']+)'(:| from| didn't change| is cached)")


def main(arguments: Namespace) -> int:
    begun = time.monotonic()
    settings = load_settings(metrics=METRICS)
    listed = subprocess.run(
        [dvc(), "stage", "list", "--name-only"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        raise PipelineError(f"dvc.yaml: DVC cannot read its stages ({short(listed.stderr.strip())})")
    everything = listed.stdout.split()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}  # so that lines come in their order
    process = subprocess.Popen(
        [dvc(), "repro", *arguments.targets], stdout=subprocess.PIPE, text=True, env=environment
    )
    with waiting() as caught:  # DVC and its stage end with a line
        for line in counted(process.stdout or [], everything, settings):
            print(line, end="", flush=True)
        failed = process.wait()
    if failed:
        return 130 if caught else 1
    if not arguments.targets:  # of some stages alone the reports are older, or another run's
        say_answer()
    print(f"It took {duration(time.monotonic() - begun)}.")
    return 0


def counted(lines: Iterable[str], everything: list[str], settings: Settings) -> Iterator[str]:
    """DVC's lines, those that begin a stage with its number."""
    left = dict.fromkeys(everything)
    for line in lines:
        found = COMES.match(line)
        if not found or found[1] not in left:
            yield line
            continue
        number = len(everything) - len(left) + 1
        seconds = most_seconds(left, settings) if line.startswith("Running") else 0
        del left[found[1]]
        yield f"[{number} of {len(everything)}{f', at most {duration(seconds)} left' if seconds else ''}] {line}"


def most_seconds(stages: Iterable[str], settings: Settings) -> float:
    """Of the stages that make and score texts; 0 where no speed is known."""
    kinds = ("generate", "evaluate", "tune")
    speeds = {
        (kind, task): last_speed(kind, task, settings.dtype) for kind in kinds for task in settings.tasks
    }
    known = {kind: [speeds[kind, task] for task in settings.tasks if speeds[kind, task]] for kind in kinds}
    usual = {kind: sum(values) / len(values) for kind, values in known.items() if values}
    if not usual:
        return 0.0
    slowest = min(usual.values())
    left = [
        (kind, task) for kind, _, task in (name.partition("@") for name in stages) if (kind, task) in speeds
    ]
    return sum(
        tokens_of(kind, task, settings) / (speeds[kind, task] or usual.get(kind, slowest))
        for kind, task in left
    )


def tokens_of(kind: str, name: str, settings: Settings) -> float:
    """At most, of all texts of a stage."""
    task, tune = settings.tasks[name], settings.tune
    texts = task.examples * task.samples
    decoders = len(set(representatives(all_cells(settings, task)).values()))
    judged = any(metric.reads("judge") for metric in metrics_of(task.kind, settings.metrics))
    searched = (len(tune.schedules) + len(tune.rivals)) * tune.trials * tune.share if tune.enabled else 0.0
    most = {"generate": decoders, "evaluate": decoders * judged, "tune": searched}.get(kind, 0)
    return float(most * texts * task.max_new_tokens)
