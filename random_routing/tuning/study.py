"""Optuna's part of the loop (Akiba et al. 2019): ask a batch, score it, tell; in a file that survives `kill -9`.

Every batch is asked with a sampler seeded by its own number, so that the trials are a pure function of the seed
and of the scores, however often the run was interrupted. Trials are asked before any of their batch is told:
after an interruption those of a batch that was asked whole go on, others are asked anew.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from random_routing.law.cells import Cell
from random_routing.settings import Tuning
from random_routing.tuning.journal import Journal
from random_routing.tuning.reward import Score, Unrewarded

Scored = Callable[[Sequence[Cell], int], dict[str, Score]]  # cells, number of examples → scores
NUMBERS = ("reward", "quality", "diversity")  # what is kept of a trial
BATCH, ENDED = "batch", (TrialState.COMPLETE, TrialState.PRUNED)


def seed_of(*address: Any) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(address).encode()).digest()[:4], "little")


def open_study(path: Path, name: str, tune: Tuning) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [optuna.study.StudyDirection.MAXIMIZE] * (1 if tune.objective == "reward" else 2)
    storage = JournalStorage(Journal(path))
    return optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)


def sampler(tune: Tuning, seed: int) -> optuna.samplers.BaseSampler:
    if tune.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if tune.sampler == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=max(2, 2 * tune.batch))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, multivariate=True, n_startup_trials=max(2, tune.trials // 3)
        )


def search(
    study: optuna.Study,
    tune: Tuning,
    seed: int,
    plain: dict[str, Any],
    suggest: Callable[[optuna.trial.BaseTrial, str], Cell],
    scored: Scored,
    examples: int,
    go_on: Callable[[], bool],
    on_trial: Callable[[float], None] = lambda reward: None,
) -> str:
    """Run the study to its end; returns why it ended. Its first trial is `plain`.

    suggest(trial, name): a cell; scored(cells, n): on the first n examples; go_on: may a second or later batch begin?
    """
    sizes = rungs(examples, tune.rungs)
    for number, size in enumerate(batches(tune)):
        asked = _asked(study, number, size)
        if len(asked) == size and all(trial.state in ENDED for trial in asked):
            continue
        if _stale(study, tune.patience):
            return f"no better trial in {tune.patience} batches"
        if number and not go_on():
            return f"{tune.minutes:g} minutes are over"
        if len(asked) < size:
            asked = _ask(study, tune, number, size, seed_of(seed, study.study_name, number), plain, suggest)
        _run_batch(study, tune, asked, sizes, suggest, scored, on_trial)
    return f"all {tune.trials} trials"


def batches(tune: Tuning) -> list[int]:
    """Sizes of the batches."""
    return [min(tune.batch, tune.trials - start) for start in range(0, tune.trials, tune.batch)]


def rungs(examples: int, count: int) -> list[int]:
    """Numbers of examples after which the worse half of a batch stops; the last are all."""
    return sorted({max(2, -(-examples // 2**k)) for k in range(count)})


def _asked(study: optuna.Study, number: int, size: int) -> list[FrozenTrial]:
    own = [
        t for t in study.get_trials() if t.user_attrs.get(BATCH) == number and t.state != TrialState.FAIL
    ]
    whole = [t for t in own if t.user_attrs.get("whole")]
    return sorted(whole, key=lambda t: t.number) if len(whole) == size else []


def _ask(
    study: optuna.Study,
    tune: Tuning,
    number: int,
    size: int,
    seed: int,
    plain: dict[str, Any],
    suggest: Callable[[optuna.trial.BaseTrial, str], Cell],
) -> list[FrozenTrial]:
    for _ in study.get_trials(states=(TrialState.WAITING,)):  # enqueued before an interruption
        study.ask()  # takes it up: only of what is running may be told
    for old in study.get_trials(states=(TrialState.RUNNING,)):  # of an interrupted asking
        study.tell(old.number, state=TrialState.FAIL)
    study.sampler = sampler(tune, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        trials = []
        for place in range(size):
            if number == place == 0:
                study.enqueue_trial(plain)
            trial = study.ask()
            trial.set_user_attr(BATCH, number)
            suggest(trial, f"{number}-{place}")
            trials.append(trial)
        for trial in trials:
            trial.set_user_attr("whole", True)
    return _asked(study, number, size)


def _run_batch(
    study: optuna.Study,
    tune: Tuning,
    asked: Sequence[FrozenTrial],
    sizes: Sequence[int],
    suggest: Callable[[optuna.trial.BaseTrial, str], Cell],
    scored: Scored,
    on_trial: Callable[[float], None],
) -> None:
    """Successive halving (Jamieson & Talwalkar 2016) inside the batch, then all are told in their order."""
    cells = {t.number: suggest(optuna.trial.FixedTrial(t.params), f"trial-{t.number}") for t in asked}
    alive, found = [t.number for t in asked], {}
    for examples in sizes:
        scores = scored([cells[number] for number in alive], examples)
        for number in alive:
            found[number] = (examples, scores[cells[number].name])
        if examples != sizes[-1]:
            best = sorted(alive, key=lambda number: -found[number][1].reward.value)
            alive = sorted(best[: -(-len(alive) // 2)])
    for trial in asked:
        examples, score = found[trial.number]
        on_trial(score.reward.value)
        if trial.state in ENDED:  # told before an interruption
            continue
        live = optuna.trial.Trial(study, trial._trial_id)
        live.set_user_attr("examples", examples)
        for name, value in zip(NUMBERS, (score.reward, score.quality, score.diversity), strict=True):
            live.set_user_attr(name, value.value)
        if trial.number not in alive:
            if tune.objective == "reward":
                live.report(score.reward.value, examples)
            study.tell(trial.number, state=TrialState.PRUNED)
        elif not np.isfinite([score.reward.value, score.quality.value, score.diversity.value]).all():
            study.tell(trial.number, state=TrialState.PRUNED)
        elif tune.objective == "reward":
            study.tell(trial.number, score.reward.value)
        else:
            study.tell(trial.number, [score.quality.value, score.diversity.value])


def _stale(study: optuna.Study, patience: int) -> bool:
    ended = [t for t in study.get_trials() if t.state == TrialState.COMPLETE]
    if not patience or not ended:
        return False
    best = max(ended, key=lambda t: (t.user_attrs["reward"], -t.number))
    last = max(t.user_attrs[BATCH] for t in study.get_trials() if t.state in ENDED)
    return int(last - best.user_attrs[BATCH]) >= patience


def winner(study: optuna.Study) -> FrozenTrial:
    """The trial with the best reward of those that saw all examples, the first of equals. Raises `Unrewarded`."""
    ended = [t for t in study.get_trials() if t.state == TrialState.COMPLETE]
    if not ended:
        raise Unrewarded(
            f"no trial of {study.study_name} has a reward: quality or diversity is undefined for its texts"
        )
    return max(ended, key=lambda t: (t.user_attrs["reward"], -t.number))
