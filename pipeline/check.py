"""Stage check: read params.yaml whole, so that a wrong value stops before any work; remove what left it."""

from __future__ import annotations

from pathlib import Path

from pipeline import stage
from random_routing.errors import fail
from random_routing.files import write_json, write_text
from random_routing.law.cells import all_cells
from random_routing.learning.agents import agents_of
from random_routing.metrics import METRICS
from random_routing.metrics.metric import lack, quality_of
from random_routing.progress import say
from random_routing.removed_tasks import prune, prune_learning, tasks_that_ran
from random_routing.settings import Settings, Task, load_settings
from random_routing.settings.tasks import KINDS


def main(argv: list[str]) -> None:
    settings = load_settings(metrics=METRICS)
    for name, variant in settings.variants.items():
        for route in (variant.q_route, variant.lambda_route):
            if route.file and not Path(route.file).is_file():
                raise fail(f"variants.{name}: unigram", route.file, "must be a text file that is there")
    counts = {name: len(all_cells(settings, task)) for name, task in settings.tasks.items()}
    if removed := prune((*KINDS, *tasks_that_ran()), settings.tasks, settings.all_assets):
        say("check", f"removed what is no longer in params.yaml: {', '.join(removed)}")
    cells = {name: len(agents_of(settings, entry)) for name, entry in settings.learning.items()}
    if removed := prune_learning(settings.learning):
        say("check", f"removed what is no longer in params.yaml: {', '.join(removed)}")
    write_json("data/learning/entries.json", list(cells))  # the folder is there, with or without agents
    # Evaluate corrects for all hypotheses, though it knows one task.
    write_json("data/hypotheses.json", {"hypotheses": settings.comparison.hypotheses(settings.tasks)})
    # The same bytes for every good file: later stages depend on their own parameters only.
    write_text("data/params.checked", "params.yaml is well formed\n")
    for task in settings.tasks.values():
        if why := too_few(settings, task):
            say("check", f"{task.name}: there will be no comparison: {why}")
    numbers = ", ".join(f"{name} {count}" for name, count in (counts | cells).items())
    say("check", f"params.yaml is well formed; cells {numbers}")


def too_few(settings: Settings, task: Task) -> str:
    """Why a task's texts are not enough for its diversity or for any of its qualities; empty where they are."""
    diversity = METRICS[settings.comparison.diversity[task.name]]
    qualities = [METRICS[name] for name in settings.comparison.quality[task.name]]
    quality = quality_of(qualities, task.examples, task.samples)
    return lack((diversity, quality), task.examples, task.samples)


if __name__ == "__main__":
    stage.run(main)
