"""Before a run: what a number of prompts can show, from the variances of the last run."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from random_routing.comparison.power import power, table
from random_routing.errors import PipelineError
from random_routing.metrics import METRICS
from random_routing.report.names import in_number
from random_routing.results.measured import read_measured
from random_routing.settings import load_settings

TIMES = (1, 4, 16, 64)  # the prompts of the last run, where no numbers are given


def main(arguments: Namespace) -> None:
    settings = load_settings(metrics=METRICS)
    tests, confidence = settings.comparison.hypotheses(settings.tasks), settings.confidence
    tasks = [task for task in settings.tasks if Path(f"data/metrics/{task}.json").exists()]
    if not tasks:
        raise PipelineError(
            "data/metrics: no run to learn from; make one of a few examples first (dvc repro), or ask in a run's "
            "folder (data/runs/demo after make demo)"
        )
    sharing = in_number(tests, "One hypothesis has", "{} hypotheses share")
    print(
        "The least difference of quality that is found with a chance of 80 %, by the number of prompts; * where it is "
        f"at most Δ.\n{sharing} {1 - confidence:.2g} of error. `settles Δ`: prompts with which Δ is "
        "found, and where there is none, that it is less is shown."
    )
    for task in tasks:
        records = read_measured(task).comparison.contrasts
        known = [record.prompts for record in records]
        prompts = sorted(arguments.prompts) or [known[0] * times for times in TIMES] if known else []
        powers = [power(record, prompts, tests, confidence) for record in records]
        print(f"\n{table(task, powers, prompts)}" if powers else f"\n{task}: no hypothesis was tested")
