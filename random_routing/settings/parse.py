"""The whole of `params.yaml`, read and checked: the sections by pydantic, then what one names of another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from random_routing.errors import SettingsError, fail
from random_routing.settings.checks import choice
from random_routing.settings.decoders import FAMILIES, Variant, exploration_weight, too_often
from random_routing.settings.keys import unknown
from random_routing.settings.metrics import (
    Metrics,
    check_coordinate,
    check_judges,
    check_metrics,
    check_vetoes,
)
from random_routing.settings.pydantic_lines import first_fault, missing
from random_routing.settings.schema import Comparison, Settings, Tuning
from random_routing.settings.tasks import KINDS, Task
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
    settings = replace(settings, tasks=_with_seeds(settings))
    _check_assets(settings)
    _check_tasks(settings)
    for name, variant in settings.variants.items():
        _check_gates(name, variant, settings)
    raw_comparison, comparison = settings.comparison, _comparison(settings)
    check_metrics(settings.metrics, metrics)
    check_judges(settings.tasks, settings.metrics, metrics)
    for task in settings.tasks.values():
        for coordinate in ("diversity", "quality"):
            listed = getattr(comparison, coordinate)[task.name]
            key = _key_of(raw_comparison, coordinate, task)
            check_coordinate(coordinate, key, listed, task.kind, settings.metrics, metrics)
    check_vetoes(comparison, settings.metrics, metrics)
    return replace(settings, comparison=comparison, tune=_tuning(settings))


@cache  # pydantic takes a tenth of a second for it
def _validator() -> TypeAdapter[Settings]:
    return TypeAdapter(Settings)


def _check_assets(settings: Settings) -> None:
    kinds = {
        kind: [name for name, asset in settings.all_assets.items() if asset.kind == kind]
        for kind in ("model", "embedder", "data")
    }
    for name, trained in settings.trained.items():
        if name in settings.assets:
            raise fail(f"trained.{name}", trained.recipe, "is the name of an asset too; choose another")
        choice(f"trained.{name}.data", trained.data, kinds["data"])
    for name, task in settings.tasks.items():
        if isinstance(task.model, list):
            allowed = "must be one model: a task of each, as `random-routing run --model A B` writes them"
            raise fail(f"tasks.{name}.model", task.model, allowed)
        choice(f"tasks.{name}.model", task.model, kinds["model"])
        choice(f"tasks.{name}.judge", task.judge, kinds["model"])
        choice(f"tasks.{name}.data", task.data, kinds["data"])
    choice("embedder", settings.embedder, kinds["embedder"])


def _check_tasks(settings: Settings) -> None:
    """Raises `SettingsError` for what a variant names of tasks and a task of baselines; every task needs a variant."""
    for name, variant in settings.variants.items():
        for i, about in enumerate(variant.tasks):
            choice(f"variants.{name}.tasks[{i}]", about, _names(settings.tasks))
    for name, task in settings.tasks.items():
        if task.labels and task.max_new_tokens != 1:
            raise fail(
                f"tasks.{name}.max_new_tokens", task.max_new_tokens, "must be 1: a label is one token"
            )
        for i, family in enumerate(task.baselines):
            choice(f"tasks.{name}.baselines[{i}]", family, FAMILIES)  # also one that is left out
        if not settings.variants_of(task):
            raise fail(f"tasks.{name}", task.kind, "must have a variant: each names other `tasks`")


def _with_seeds(settings: Settings) -> dict[str, Task]:
    return {
        name: replace(task, seed=settings.seed if task.seed < 0 else task.seed)
        for name, task in settings.tasks.items()
    }


def _comparison(settings: Settings) -> Comparison:
    """The section `comparison`, where what stands for a kind of task is said of each task in the file."""
    tasks, contrasts = settings.tasks, {}
    for name, contrast in settings.comparison.contrasts.items():
        choice(f"comparison.contrasts.{name}.variant", contrast.variant, settings.variants)
        for i, task in enumerate(contrast.tasks):
            choice(
                f"comparison.contrasts.{name}.tasks[{i}]", task, _names(tasks)
            )  # also one that is left out
        about = [
            task.name
            for task in tasks.values()
            if contrast.variant in settings.variants_of(task)
            and (not contrast.tasks or {task.name, task.kind} & set(contrast.tasks))
        ]
        if about:
            contrasts[name] = replace(contrast, tasks=tuple(about))
    values: dict[str, Any] = {
        key: _of_tasks(f"comparison.{key}", getattr(settings.comparison, key), tasks)
        for key in ("diversity", "quality", "delta")
    }
    return replace(settings.comparison, contrasts=contrasts, **values)


def _key_of(written: Comparison, coordinate: str, task: Task) -> str:
    """Where a task's diversity or quality stands in the file."""
    values = getattr(written, coordinate)
    if coordinate == "diversity" and len(values) == len(KINDS) and len({*values.values()}) == 1:
        return "comparison.diversity"
    return f"comparison.{coordinate}.{task.name if task.name in values else task.kind}"


def _of_tasks(key: str, values: Mapping[str, Any], tasks: Mapping[str, Task]) -> dict[str, Any]:
    """Of each task what its name has, or else its kind. Raises `SettingsError` for a task without, and other keys."""
    for name in values:
        if name not in _names(tasks):
            value = values[name]
            value = list(value) if isinstance(value, tuple) else value
            raise fail(f"{key}.{name}", value, unknown(name, _names(tasks)))
    for name, task in tasks.items():
        if name not in values and task.kind not in values:
            raise missing(f"{key}.{task.kind}")
    return {name: values[name] if name in values else values[task.kind] for name, task in tasks.items()}


def _names(tasks: Iterable[str]) -> tuple[str, ...]:
    """Of tasks and of their kinds."""
    return tuple(dict.fromkeys((*KINDS, *tasks)))


def _tuning(settings: Settings) -> Tuning:
    """The section `tune`, for the tasks and variants in the file."""
    tune = settings.tune
    weight = _of_tasks("tune.weight", tune.weight, settings.tasks)
    for i, name in enumerate(tune.variants):
        choice(f"tune.variants[{i}]", name, settings.variants)
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
