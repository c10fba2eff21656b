"""The search of a task: a study per family on some examples, its winner measured on the others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import optuna

from random_routing.law.cells import Cell, Decoder, all_cells, representatives
from random_routing.results.tuned import (
    Family,
    Grid,
    GridCell,
    RewardDifference,
    Score,
    Split,
    Trial,
    Tuned,
    Winner,
)
from random_routing.settings import Settings, Task, exploration_weight
from random_routing.tuning.reward import Sampled, Scorer, Scores
from random_routing.tuning.space import families, plain, suggest
from random_routing.tuning.study import BATCH, NUMBERS, importance, new_study, search, winner

OnTrial = Callable[[str, float], None]  # family, reward


@dataclass(frozen=True)
class Examples:
    """Numbers of the rows of the two splits."""

    tune: np.ndarray
    test: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[dict[str, Any]], share: float) -> Examples:
        """In the order of their ids, which are hashes."""
        order, examples = np.argsort([row["id"] for row in rows]), round(share * len(rows))
        return cls(order[:examples], order[examples:])


def tune_task(scorer: Scorer, examples: Examples, on_trial: OnTrial) -> Tuned:
    """on_trial: called after every trial."""
    settings, task, rows = scorer.settings, scorer.task, scorer.rows
    searched = {family: _search(family, scorer, examples, on_trial) for family in families(settings)}
    cells = [cell for cell, *_ in searched.values()]
    at_tune, at_test = scorer.scores(cells, examples.tune), scorer.scores(cells, examples.test)
    records = {
        family: Family(
            ended=why,
            trials=trials,
            importance=shares,
            winner=Winner(
                **setting_of(cell, settings),
                decoder=cell.decoder.describe(),
                tune=_score(at_tune[cell.name], settings),
                test=_score(at_test[cell.name], settings),
            ),
        )
        for family, (cell, why, trials, shares) in searched.items()
    }
    return Tuned(
        task=task.name,
        split=Split([rows[i]["id"] for i in examples.tune], [rows[i]["id"] for i in examples.test]),
        quality=scorer.quality.name,
        diversity=scorer.diversity.name,
        texts=sum(trial.examples for record in records.values() for trial in record.trials) * task.samples,
        families=records,
        differences=differences(
            {name: at_test[cell.name].reward for name, (cell, *_) in searched.items()},
            {name: cell.decoder for name, (cell, *_) in searched.items()},
            settings,
        ),
        grid=_grid(scorer, examples.tune),
    )


def _search(
    family: str, scorer: Scorer, examples: Examples, on_trial: OnTrial
) -> tuple[Cell, str, list[Trial], dict[str, float]]:
    """The winner, why the search ended, its trials in the order in which they were asked, and the importances."""
    settings, tune, started = scorer.settings, scorer.settings.tune, time.perf_counter()
    minutes = tune.minutes / len(families(settings))

    def cell_of(trial: Any, name: str) -> Cell:
        return suggest(trial, family, settings, scorer.task.max_new_tokens, f"{family}-{name}")

    study = new_study(family, tune)
    why = search(
        study, tune, scorer.task.seed, plain(family, settings), cell_of,
        lambda cells, count: scorer.scores(cells, examples.tune[:count]),
        len(examples.tune),
        lambda: time.perf_counter() - started < 60 * minutes,
        partial(on_trial, family),
    )  # fmt: skip
    best = cell_of(optuna.trial.FixedTrial(winner(study).params), "winner")
    trials = []
    for trial in study.get_trials():
        cell, kept = cell_of(optuna.trial.FixedTrial(trial.params), str(trial.number)), trial.user_attrs
        trials.append(
            Trial(
                number=trial.number,
                state=trial.state.name.lower(),
                params=trial.params,
                batch=kept[BATCH],
                **setting_of(cell, settings),
                examples=kept["examples"],
                **{name: kept[name] for name in NUMBERS},
            )
        )
    return best, why, trials, importance(study, tune.objective)


def _grid(scorer: Scorer, examples: np.ndarray) -> Grid:
    """What the grid's decoders have on the examples that were tuned on."""
    cells = sampled_cells(scorer.settings, scorer.task)
    scores = scorer.scores(cells, examples)
    return Grid(
        len(cells) * len(examples) * scorer.task.samples,
        [
            GridCell(
                cell=cell.name,
                family=cell.family,
                **setting_of(cell, scorer.settings),
                **vars(_score(scores[cell.name], scorer.settings)),
            )
            for cell in cells
        ],
    )


def sampled_cells(settings: Settings, task: Task) -> list[Cell]:
    """The grid's distinct decoders that can be sampled from: beam search is a baseline of quality alone."""
    cells = all_cells(settings, task)
    names = set(representatives(cells).values())
    return [cell for cell in cells if cell.name in names and not cell.decoder.beams]


def setting_of(cell: Cell, settings: Settings) -> dict[str, Any]:
    """variant, q, weight, r and setting of a record; NaN where they have no meaning."""
    weight = None if cell.lam is None else exploration_weight(cell.lam, settings.lambda_means)
    numbers = {"q": cell.q, "weight": weight, "r": cell.r, "setting": cell.setting}
    return {"variant": cell.variant} | {
        name: math.nan if value is None else value for name, value in numbers.items()
    }


def _score(scores: Scores, settings: Settings) -> Score:
    low, high = scores.reward.interval(settings.confidence)
    return Score(scores.quality.value, scores.diversity.value, scores.reward.value, low, high)


def differences(
    rewards: dict[str, Sampled], winners: dict[str, Decoder], settings: Settings
) -> list[RewardDifference]:
    """Reward of each winner with routes minus each other one's, over the same resamples. Both by family.

    Intervals and p-values are Bonferroni's over the pairs; two families with one winner are no pair.
    """
    pairs = [
        (family, rival, rewards[family] - rewards[rival])
        for family in ("scheduled", "routing")
        for rival in rewards
        if family in rewards and rival not in (family, "scheduled") and winners[family] != winners[rival]
    ]
    # Of texts that have no quality or diversity the difference is NaN.
    known = [pair for pair in pairs if np.isfinite(pair[2].value)]
    records = []
    for family, rival, difference in known:
        low, high = difference.t_interval(1 - (1 - settings.confidence) / len(known))
        p = min(1.0, len(known) * difference.p_value())
        records.append(RewardDifference(family, rival, difference.value, low, high, p))
    return records
