"""Whether params.yaml is well formed, without a stage: nothing is written."""

from __future__ import annotations

from argparse import Namespace

from random_routing.law.cells import all_cells, representatives
from random_routing.metrics import METRICS
from random_routing.progress import say
from random_routing.settings import load_settings


def main(arguments: Namespace) -> None:
    settings = load_settings(metrics=METRICS)
    for name, task in settings.tasks.items():
        cells = all_cells(settings, task)
        decoders = len(set(representatives(cells).values()))
        texts = decoders * task.examples * task.samples
        say("check", f"{name}: {len(cells)} cells of {decoders} distinct decoders, {texts:,} texts")
