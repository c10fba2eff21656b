"""What is kept of a search in `data/tune/<task>.json`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from random_routing.law.cells import Cell
from random_routing.settings import Settings
from random_routing.tuning.reward import Score
from random_routing.tuning.study import BATCH, NUMBERS


def trial_records(study: optuna.Study, cell_of: Callable[[Any, str], Cell]) -> list[dict[str, Any]]:
    """Parameters, state and numbers of every trial, in the order in which they were asked."""
    return [_record(trial, cell_of) for trial in study.get_trials()]


def _record(trial: FrozenTrial, cell_of: Callable[[Any, str], Cell]) -> dict[str, Any]:
    cell = cell_of(optuna.trial.FixedTrial(trial.params), str(trial.number))
    return {
        "number": trial.number, "state": trial.state.name.lower(), "params": trial.params,
        "batch": trial.user_attrs[BATCH], "variant": cell.variant, "q": cell.q, "lambda": cell.lam, "r": cell.r,
        "setting": cell.setting, **{name: trial.user_attrs[name] for name in ("examples", *NUMBERS)},
    }  # fmt: skip


def score_record(score: Score, settings: Settings) -> dict[str, Any]:
    low, high = score.reward.interval(settings.confidence)
    return {
        "quality": score.quality.value, "diversity": score.diversity.value, "reward": score.reward.value,
        "lo": low, "hi": high,
    }  # fmt: skip


def importance(study: optuna.Study, objective: str) -> dict[str, float]:
    """Share of the reward's variance that each parameter explains (Watanabe et al. 2023, PED-ANOVA); of the
    parameters that every trial has. Empty where too few trials ended or they have one reward.
    """
    target = None if objective == "reward" else (lambda trial: trial.user_attrs["reward"])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = optuna.importance.get_param_importances(
                study, evaluator=optuna.importance.PedAnovaImportanceEvaluator(), target=target
            )
    except (ValueError, RuntimeError):
        return {}
    return {name: float(value) for name, value in found.items()}
