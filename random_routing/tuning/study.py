"""Optuna's part of the loop (Akiba et al. 2019): ask a batch, score it, tell.

Every batch is asked with a sampler seeded by its own number, so that the trials are a pure function of the seed
and of the scores. A study needs no file: run again after `kill -9` it asks the same, and finds all texts in the store.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from random_routing.law.cells import Cell
from random_routing.settings import Tuning
from random_routing.tuning.reward import Scores, Unrewarded

Scored = Callable[[Sequence[Cell], int], dict[str, Scores]]  # cells, number of examples → scores
NUMBERS = ("reward", "quality", "diversity")  # what is kept of a trial
BATCH = "batch"


def seed_of(*address: Any) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(address).encode()).digest()[:4], "little")


def new_study(name: str, tune: Tuning) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [optuna.study.StudyDirection.MAXIMIZE] * (1 if tune.objective == "reward" else 2)
    return optuna.create_study(study_name=name, directions=directions)


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
    """Run a new study to its end; returns why it ended. Its first trial is `plain`.

    suggest(trial, name): a cell; scored(cells, n): on the first n examples; go_on: may a second or later batch begin?
    """
    sizes = rungs(examples, tune.rungs)
    study.enqueue_trial(plain)
    for number, size in enumerate(batches(tune)):
        if _stale(study, tune.patience):
            return f"no better trial in {tune.patience} batches"
        if number and not go_on():
            return f"{tune.minutes:g} minutes are over"
        study.sampler = sampler(tune, seed_of(seed, study.study_name, number))
        batch = _ask(study, number, size, suggest)
        _run_batch(study, tune, batch, sizes, scored, on_trial)
    return f"all {tune.trials} trials"


def batches(tune: Tuning) -> list[int]:
    """Sizes of the batches."""
    return [min(tune.batch, tune.trials - start) for start in range(0, tune.trials, tune.batch)]


def rungs(examples: int, count: int) -> list[int]:
    """Numbers of examples after which the worse half of a batch stops; the last are all."""
    return sorted({max(2, -(-examples // 2**k)) for k in range(count)})


def _ask(
    study: optuna.Study, number: int, size: int, suggest: Callable[[optuna.trial.BaseTrial, str], Cell]
) -> dict[optuna.Trial, Cell]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        batch = {}
        for _ in range(size):
            trial = study.ask()
            trial.set_user_attr(BATCH, number)
            batch[trial] = suggest(trial, f"trial-{trial.number}")
        return batch


def _run_batch(
    study: optuna.Study,
    tune: Tuning,
    cells: dict[optuna.Trial, Cell],
    sizes: Sequence[int],
    scored: Scored,
    on_trial: Callable[[float], None],
) -> None:
    """Successive halving (Jamieson & Talwalkar 2016) inside the batch, then Optuna is told of all in their order."""
    alive, scores = list(cells), dict[optuna.Trial, tuple[int, Scores]]()
    for examples in sizes:
        by_name = scored([cells[trial] for trial in alive], examples)
        scores |= {trial: (examples, by_name[cells[trial].name]) for trial in alive}
        if examples != sizes[-1]:
            best = sorted(alive, key=lambda trial: -scores[trial][1].reward.value)
            alive = sorted(best[: -(-len(alive) // 2)], key=lambda trial: trial.number)
    for trial, (examples, score) in scores.items():
        on_trial(score.reward.value)
        trial.set_user_attr("examples", examples)
        for name, value in zip(NUMBERS, (score.reward, score.quality, score.diversity), strict=True):
            trial.set_user_attr(name, value.value)
        if trial not in alive:
            if tune.objective == "reward":
                trial.report(score.reward.value, examples)
            study.tell(trial, state=TrialState.PRUNED)
        elif not np.isfinite([score.reward.value, score.quality.value, score.diversity.value]).all():
            study.tell(trial, state=TrialState.PRUNED)
        elif tune.objective == "reward":
            study.tell(trial, score.reward.value)
        else:
            study.tell(trial, [score.quality.value, score.diversity.value])


def _stale(study: optuna.Study, patience: int) -> bool:
    ended = [t for t in study.get_trials() if t.state == TrialState.COMPLETE]
    if not patience or not ended:
        return False
    best = max(ended, key=lambda t: (t.user_attrs["reward"], -t.number))
    last = max(t.user_attrs[BATCH] for t in study.get_trials())
    return int(last - best.user_attrs[BATCH]) >= patience


def winner(study: optuna.Study) -> FrozenTrial:
    """The trial with the best reward of those that saw all examples, the first of equals. Raises `Unrewarded`."""
    ended = [t for t in study.get_trials() if t.state == TrialState.COMPLETE]
    if not ended:
        raise Unrewarded(
            f"no trial of {study.study_name} has a reward: quality or diversity is undefined for its texts"
        )
    return max(ended, key=lambda t: (t.user_attrs["reward"], -t.number))


def importance(study: optuna.Study, objective: str) -> dict[str, float]:
    """Share of the reward's variance that each parameter explains (Watanabe et al. 2023, PED-ANOVA); of the
    parameters that every trial has. Empty where too few trials ended or they have one reward. To six digits: the last
    ones depend on how many threads add.
    """
    target = None if objective == "reward" else (lambda trial: trial.user_attrs["reward"])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shares = optuna.importance.get_param_importances(
                study, evaluator=optuna.importance.PedAnovaImportanceEvaluator(), target=target
            )
    except (ValueError, RuntimeError):
        return {}
    return {name: float(f"{value:.6g}") for name, value in shares.items()}
