"""Stage tune: the best setting of each family of decoders, found on some examples, measured on the others."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pipeline import stage
from random_routing.decode.row_counts import Work
from random_routing.files import read_jsonl, write_json
from random_routing.metrics import METRICS
from random_routing.models.roles import check_roles
from random_routing.progress import Progress, say
from random_routing.results.tuned import Tuned, write_tuned
from random_routing.runs.cost import write_cost
from random_routing.runs.forecast import check_room, say_texts
from random_routing.runs.machine import on_this_machine
from random_routing.runs.recheck import recheck
from random_routing.runs.store import open_store
from random_routing.runs.tensorboard import events
from random_routing.settings import Settings, Task, load_settings
from random_routing.settings.checks import choice
from random_routing.tuning.reward import Scorer, Unrewarded
from random_routing.tuning.space import families
from random_routing.tuning.tune_task import Examples, sampled_cells, tune_task


def main(argv: list[str]) -> None:
    settings = load_settings(metrics=METRICS)
    task = settings.tasks[choice("tune", stage.argument(argv, "a task"), settings.tasks)]
    settings = on_this_machine(settings, task)
    whole = Path(f"data/tune/{task.name}.json")
    rows = read_jsonl(f"data/prepared/{task.name}.jsonl")
    examples = Examples.of(rows, settings.tune.share)
    counts = len(examples.tune), len(examples.test)

    def leave_out(why: str) -> None:
        write_json(whole, None)
        write_cost("tune", task.name, Work(), 0.0, settings.dtype, whole, 0)  # DVC asks for it
        say("tune", f"{task.name}: {why}")

    if not settings.tune.enabled:
        return leave_out("switched off")
    if min(counts) < 2:
        return leave_out(f"left out, {counts[0]} examples to tune on and {counts[1]} to test on")
    check_roles(settings, task)
    try:
        started = time.perf_counter()
        tuned, work, checked = run(settings, task, rows, examples)
        seconds = time.perf_counter() - started
    except Unrewarded as error:
        return leave_out(f"left out, {error}")
    write_tuned(whole, tuned)
    write_cost("tune", task.name, work, seconds, settings.dtype, whole, checked)
    best = tuned.families["routing"].winner
    trials = sum(len(family.trials) for family in tuned.families.values())
    say(
        "tune",
        f"{task.name}: {trials} trials of {', '.join(tuned.families)} in {whole}; computed {work.texts} texts; "
        f"{checked} values made again, with the same bits; "
        f"routing's winner: reward {best.tune.reward:.4g} on {counts[0]} examples, {best.test.reward:.4g} on the "
        f"{counts[1]} others",
    )


def run(
    settings: Settings, task: Task, rows: list[dict[str, Any]], examples: Examples
) -> tuple[Tuned, Work, int]:
    """What was found, the work of texts that were not there, and how many values were made again."""
    with open_store("tune") as store, events(settings, "tune", task.name) as log:
        scorer = Scorer(settings, task, rows, store, min(len(examples.tune), len(examples.test)))
        trials = settings.tune.trials * len(families(settings))
        grid = len(sampled_cells(settings, task)) * len(examples.tune) * task.samples
        check_room(settings, task, scorer.prepared.examples, scorer.folder, grid, store)
        say_texts("tune", settings, task, trials * len(examples.tune) * task.samples)
        done = 0
        with Progress(f"{task.name}, tune", "trial") as show:

            def on_trial(family: str, reward: float) -> None:
                nonlocal done
                done += 1
                show(done, trials)
                log(f"reward/{family}", reward, done)

            tuned = tune_task(scorer, examples, on_trial)
        return tuned, scorer.work, recheck(f"tune {task.name}", store, scorer.remade())


if __name__ == "__main__":
    stage.run(main)
