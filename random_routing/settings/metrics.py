"""What `params.yaml` may say of metrics: their names, checked against those that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

from random_routing.errors import fail
from random_routing.settings.checks import choice
from random_routing.settings.pydantic_lines import missing
from random_routing.settings.schema import Comparison
from random_routing.settings.tasks import Task


class Choosable(Protocol):
    """What is known of a metric here; `random_routing.metrics.METRICS`, above this package, has them."""

    @property
    def tasks(self) -> tuple[str, ...]: ...

    @property
    def coordinate(self) -> str: ...

    @property
    def role(self) -> str: ...

    def reads(self, model: Literal["judge", "embedder"]) -> bool: ...


Metrics = Mapping[str, Choosable] | None  # None: of a stage that measures nothing; any name is taken


def check_metrics(metrics: Sequence[str], known: Metrics) -> None:
    for i, name in enumerate(metrics):
        if known is not None:
            choice(f"metrics[{i}]", name, known)


def check_judges(tasks: Mapping[str, Task], metrics: Sequence[str], known: Metrics) -> None:
    """A model does not judge its own texts; where no metric reads a judge it may stand for one."""
    for name, task in tasks.items():
        readers = [m for m in metrics if known and name in known[m].tasks and known[m].reads("judge")]
        if task.judge == task.model and readers:
            allowed = f"must not be the generating model, for {readers[0]} reads it"
            raise fail(f"tasks.{name}.judge", task.judge, allowed)


def compared(
    comparison: Comparison, tasks: Sequence[str], metrics: Sequence[str], known: Metrics
) -> Comparison:
    """Of the tasks in the file. Raises `SettingsError` for a metric that cannot be quality or diversity there."""
    for task in tasks:
        if task not in comparison.quality:
            raise missing(f"comparison.quality.{task}")
        if task not in comparison.delta:
            raise missing(f"comparison.delta.{task}")
        listed = comparison.quality[task]
        for i, name in enumerate(listed):
            key = f"comparison.quality.{task}" + (f"[{i}]" if len(listed) > 1 else "")
            _check(key, name, "quality", metrics, known)
            if known is not None and task not in known[name].tasks:
                qualities = (m for m in known if known[m].coordinate == "quality")
                allowed = ", ".join(m for m in qualities if task in known[m].tasks)
                raise fail(key, name, f"a metric that {task} cannot have; allowed: {allowed}")
    _check("comparison.diversity", comparison.diversity, "diversity", metrics, known)
    for name in comparison.vetoes:
        if known is not None:
            choice("comparison.vetoes", name, [m for m in known if known[m].role == "failures"])
        if name not in metrics:
            raise fail("comparison.vetoes", name, "must also stand in the list metrics")
    quality = {task: comparison.quality[task] for task in tasks}
    return replace(comparison, quality=quality, delta={task: comparison.delta[task] for task in tasks})


def _check(key: str, name: str, coordinate: str, metrics: Sequence[str], known: Metrics) -> None:
    if known is not None:
        choice(key, name, [m for m in known if known[m].coordinate == coordinate])
    if name not in metrics:
        raise fail(key, name, "must also stand in the list metrics")
