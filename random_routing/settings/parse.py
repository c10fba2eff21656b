"""The whole of `params.yaml`, read and checked: the sections by pydantic, then what one names of another."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from random_routing.errors import SettingsError, fail
from random_routing.settings.checks import choice
from random_routing.settings.decoders import Gate, Schedule, Variant, exploration_weight
from random_routing.settings.metrics import Metrics, check_judges, check_metrics, compared
from random_routing.settings.pydantic_lines import first_fault, missing
from random_routing.settings.schema import Settings, Tuning
from random_routing.settings.tasks import TASK_KEYS
from random_routing.settings.yamlfile import read_yaml


def load_settings(path: str | Path = "params.yaml", metrics: Metrics = None) -> Settings:
    """Read and check the parameters file; metrics: `METRICS`, for a stage that uses them. Raises `SettingsError`."""
    return parse_settings(read_yaml(path), metrics)


def parse_settings(raw: Any, metrics: Metrics = None) -> Settings:
    """Settings from the parsed YAML of a parameters file. Raises `SettingsError`.

    metrics: `METRICS`, which this package cannot import; without them the names of metrics are taken as they are.
    """
    if not isinstance(raw, dict):
        empty = "is empty; it " if raw is None else ""
        raise SettingsError(f"params.yaml: {empty}must hold a mapping (key: value lines)")
    try:
        settings = _validator().validate_python(raw)
    except ValidationError as error:
        raise first_fault(Settings, raw, error) from None
    _check_assets(settings)
    for name, variant in settings.variants.items():
        _check_gates(name, variant, settings)
    _check_contrasts(settings)
    check_metrics(settings.metrics, metrics)
    check_judges(settings.tasks, settings.metrics, metrics)
    comparison = compared(settings.comparison, list(settings.tasks), settings.metrics, metrics)
    return replace(settings, comparison=comparison, tune=_tuning(settings))


@cache  # pydantic takes a tenth of a second for it
def _validator() -> TypeAdapter[Settings]:
    return TypeAdapter(Settings)


def _check_assets(settings: Settings) -> None:
    kinds = {
        kind: [name for name, asset in settings.assets.items() if asset.kind == kind]
        for kind in ("model", "embedder", "data")
    }
    for name, task in settings.tasks.items():
        choice(f"tasks.{name}.model", task.model, kinds["model"])
        choice(f"tasks.{name}.judge", task.judge, kinds["model"])
        choice(f"tasks.{name}.data", task.data, kinds["data"])
    choice("embedder", settings.embedder, kinds["embedder"])


def _check_contrasts(settings: Settings) -> None:
    for name, contrast in settings.comparison.contrasts.items():
        choice(f"comparison.contrasts.{name}.variant", contrast.variant, settings.variants)
        for i, task in enumerate(contrast.tasks):
            choice(f"comparison.contrasts.{name}.tasks[{i}]", task, TASK_KEYS)  # also one that is left out


def _tuning(settings: Settings) -> Tuning:
    """The section `tune`, for the tasks and variants in the file."""
    tune = settings.tune
    for task in settings.tasks:
        if task not in tune.weight:
            raise missing(f"tune.weight.{task}")
    for i, name in enumerate(tune.variants):
        choice(f"tune.variants[{i}]", name, settings.variants)
    weight = {task: tune.weight[task] for task in settings.tasks}
    return replace(tune, weight=weight, variants=tune.variants or tuple(settings.variants))


def _check_gates(name: str, variant: Variant, settings: Settings) -> None:
    """Raises `SettingsError` for a rate of the grid that a gate cannot have."""
    lambdas = variant.lambdas or settings.lambdas
    weights = [(lam, exploration_weight(lam, settings.lambda_means)) for lam in lambdas]
    for route, gate, schedule, rates in (
        ("q", variant.q_gate, variant.q_schedule, [(q, q) for q in variant.q or settings.q]),
        ("lambda", variant.lambda_gate, variant.lambda_schedule, weights),
    ):
        for written, rate in rates:
            if why := too_often(gate, schedule, rate):
                key = f"variants.{name}.{route}_gate.span"
                raise fail(key, gate.mean, f"{why} (the grid's {route} = {written:g})")


def too_often(gate: Gate, schedule: Schedule, rate: float) -> str:
    """Why a gate cannot be open at a rate; empty where it can.

    Between two spans lies at least one step, so their share is at most mean / (mean + 1), or 1 for a gate that never
    closes.
    """
    highest = gate.mean / (gate.mean + 1)
    if gate.kind != "span" or rate <= highest or (rate == 1 and schedule == Schedule()):
        return ""
    return f"spans of this mean length can fill at most {highest:.3g} of the steps, not {rate:g}"
