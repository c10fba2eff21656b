"""Stage tune: the best setting of each family of decoders, found on some examples, measured on the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from pipeline import stage
from random_routing.decode.row_counts import Work
from random_routing.files import read_jsonl, sealed, write_json
from random_routing.law.cells import Cell, all_cells, representatives
from random_routing.metrics import METRICS
from random_routing.models.roles import check_roles
from random_routing.progress import Progress, say
from random_routing.results.json_form import to_json
from random_routing.runs.cost import write_cost
from random_routing.runs.forecast import check_room, say_texts
from random_routing.runs.recheck import recheck
from random_routing.runs.store import open_store
from random_routing.runs.tensorboard import events
from random_routing.settings import Settings, Task, exploration_weight, load_settings
from random_routing.settings.checks import choice
from random_routing.tuning.reward import Score, Scorer, Unrewarded
from random_routing.tuning.space import families, plain, suggest
from random_routing.tuning.study import new_study, search, winner
from random_routing.tuning.tune_file import importance, score_record, trial_records


def main(argv: list[str]) -> None:
    settings = load_settings(metrics=METRICS)
    task = settings.tasks[choice("tune", stage.argument(argv, "a task"), settings.tasks)]
    whole, short = Path(f"data/tune/{task.name}.json"), Path(f"reports/tune/{task.name}.json")
    rows = read_jsonl(f"data/prepared/{task.name}.jsonl")
    tune, test = split(rows, settings.tune.share)

    def leave_out(why: str) -> None:
        write_json(whole, None)
        write_json(short, {})
        say("tune", f"{task.name}: {why}")

    if not settings.tune.enabled:
        return leave_out("switched off")
    if min(len(tune), len(test)) < 2:
        return leave_out(f"left out, {len(tune)} examples to tune on and {len(test)} to test on")
    check_roles(settings, task)
    try:
        started = time.perf_counter()
        result, work, checked = tuned(settings, task, rows, tune, test)
        seconds = time.perf_counter() - started
    except Unrewarded as error:
        return leave_out(f"left out, {error}")
    write_json(whole, sealed(to_json(result)))
    write_cost("tune", task.name, work, seconds, settings.dtype, whole, checked)
    best = result["families"]["routing"]["winner"]
    numbers = {"tuned": best["tune"]["reward"], "held_out": best["test"]["reward"]}
    known = {name: float(f"{value:.6g}") for name, value in numbers.items() if np.isfinite(value)}
    write_json(short, {task.name: known}, indent=2)
    trials = sum(len(own["trials"]) for own in result["families"].values())
    say(
        "tune",
        f"{task.name}: {trials} trials of {', '.join(result['families'])} in {whole}; computed {work.texts} texts; "
        f"{checked} values made again, with the same bits; "
        f"routing's winner: reward {numbers['tuned']:.4g} on {len(tune)} examples, {numbers['held_out']:.4g} on the "
        f"{len(test)} others",
    )


def tuned(
    settings: Settings, task: Task, rows: list[dict[str, Any]], tune: np.ndarray, test: np.ndarray
) -> tuple[dict[str, Any], Work, int]:
    """Contents of `data/tune/<task>.json`, the work of texts that were not there, and how many values were made again.

    tune, test: numbers of the rows of the two splits.
    """
    with open_store("tune") as store, events(settings, "tune", task.name) as log:
        scorer = Scorer(settings, task, rows, store, min(len(tune), len(test)))
        grid_cells = sampled_cells(settings, task)
        grid_texts = len(grid_cells) * len(tune) * task.samples
        trials = settings.tune.trials * len(families(settings))
        check_room(settings, task, scorer.prepared.examples, scorer.folder, grid_texts, store)
        say_texts("tune", settings, task, trials * len(tune) * task.samples)

        def scored(cells: Sequence[Cell], examples: int) -> dict[str, Score]:
            return scorer.scores(cells, tune[:examples])

        found: dict[str, Any] = {}
        winners: dict[str, Cell] = {}
        names = families(settings)
        total = settings.tune.trials * len(names)
        with Progress(f"{task.name}, tune", "trial") as show:
            done = 0
            for family in names:
                started = time.perf_counter()

                def on_trial(reward: float, family: str = family) -> None:
                    nonlocal done
                    done += 1
                    show(done, total)
                    log(f"reward/{family}", reward, done)

                def cell_of(trial: Any, name: str, family: str = family) -> Cell:
                    return suggest(trial, family, settings, task.max_new_tokens, f"{family}-{name}")

                study = new_study(family, settings.tune)
                why = search(
                    study, settings.tune, settings.seed, plain(family, settings), cell_of, scored, len(tune),
                    partial(time_left, started, settings.tune.minutes / len(names)), on_trial,
                )  # fmt: skip
                best = winner(study)
                winners[family] = cell_of(optuna.trial.FixedTrial(best.params), "winner")
                found[family] = {
                    "ended": why,
                    "trials": trial_records(study, cell_of),
                    "importance": importance(study, settings.tune.objective),
                }
        cells = list(winners.values())
        at_tune, at_test = (scorer.scores(cells, examples) for examples in (tune, test))
        for family, cell in winners.items():
            scores = {"tune": at_tune[cell.name], "test": at_test[cell.name]}
            found[family]["winner"] = {
                "cell": cell.describe(),
                **{name: score_record(score, settings) for name, score in scores.items()},
            }
        grid = scored(grid_cells, len(tune))
        result = {
            "task": task.name,
            "split": {"tune": [rows[i]["id"] for i in tune], "test": [rows[i]["id"] for i in test]},
            "quality": scorer.quality.name,
            "diversity": scorer.diversity.name,
            "texts": sum(t["examples"] for own in found.values() for t in own["trials"]) * task.samples,
            "families": found,
            "differences": differences({family: at_test[cell.name] for family, cell in winners.items()}, settings),
            "grid": {
                "texts": grid_texts,
                "cells": [
                    {"cell": cell.name, "family": cell.family, "variant": cell.variant, "q": cell.q,
                     "lambda": weight_of(cell, settings), **score_record(grid[cell.name], settings)}
                    for cell in grid_cells
                ],
            },
        }  # fmt: skip
        checked = recheck(f"tune {task.name}", store, scorer.remade())
        return result, scorer.work, checked


def time_left(started: float, minutes: float) -> bool:
    return time.perf_counter() - started < 60 * minutes


def weight_of(cell: Cell, settings: Settings) -> float | None:
    """λ as the weight of the random route, which is what trials have."""
    return None if cell.lam is None else exploration_weight(cell.lam, settings.lambda_means)


def split(rows: Sequence[dict[str, Any]], share: float) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows to tune on and of those to test on, in the order of their ids, which are hashes."""
    order, examples = np.argsort([row["id"] for row in rows]), round(share * len(rows))
    return order[:examples], order[examples:]


def differences(scores: dict[str, Score], settings: Settings) -> list[dict[str, Any]]:
    """Reward of each winner with routes minus each other one's, over the same resamples. scores: family → score."""
    records = []
    for family in (name for name in ("scheduled", "routing") if name in scores):
        for rival in (name for name in scores if name not in (family, "scheduled")):
            difference = scores[family].reward - scores[rival].reward
            if not np.isfinite(difference.value):  # of texts that have no quality or diversity
                continue
            low, high = difference.interval(settings.confidence)
            records.append({
                "family": family, "rival": rival, "difference": difference.value, "lo": low, "hi": high,
                "p": difference.p_value(),
            })  # fmt: skip
    return records


def sampled_cells(settings: Settings, task: Task) -> list[Cell]:
    """The grid's distinct decoders that can be sampled from: beam search is a baseline of quality alone."""
    cells = all_cells(settings, task)
    names = set(representatives(cells).values())
    return [cell for cell in cells if cell.name in names and not cell.decoder.beams]


if __name__ == "__main__":
    stage.run(main)
