"""The sections of `params.yaml` that say what is measured, and what decoders are compared by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from random_routing.errors import fail
from random_routing.settings import checks
from random_routing.settings.schema import Comparison
from random_routing.settings.tasks import TASK_KEYS


class Choosable(Protocol):
    """What there is to know of a metric here; `random_routing.metrics.METRICS`, above this package, has them."""

    @property
    def tasks(self) -> tuple[str, ...]: ...

    @property
    def coordinate(self) -> str: ...


Metrics = Mapping[str, Choosable] | None  # None: of a stage that measures nothing; any name is taken


def parse_metrics(value: Any, known: Metrics) -> tuple[str, ...]:
    listed = checks.sequence("metrics", value)
    return tuple(_name(f"metrics[{i}]", name, known) for i, name in enumerate(listed))


def parse_comparison(
    value: Any, known: Metrics, metrics: Sequence[str], tasks: Sequence[str]
) -> Comparison:
    section = checks.mapping("comparison", value)
    checks.keys("comparison", section, ("diversity", "quality", "correction"))
    quality = checks.mapping("comparison.quality", section["quality"])
    checks.keys("comparison.quality", quality, tasks, TASK_KEYS)
    return Comparison(
        quality={task: _qualities(task, quality[task], known, metrics) for task in tasks},
        diversity=_compared("diversity", section["diversity"], known and _of("diversity", known), metrics),
        correction=checks.choice("comparison.correction", section["correction"], ("holm", "fdr_bh")),
    )


def _qualities(task: str, value: Any, known: Metrics, metrics: Sequence[str]) -> tuple[str, ...]:
    """One metric, or several: the first that there are enough texts for is used."""
    key = f"quality.{task}"
    listed = {key: value}
    if isinstance(value, list):
        listed = {f"{key}[{i}]": name for i, name in enumerate(checks.sequence(f"comparison.{key}", value))}
    qualities = known and _of("quality", known)
    for place, name in listed.items():
        _compared(place, name, qualities, metrics)
        if qualities and task not in qualities[name].tasks:
            allowed = ", ".join(m for m in qualities if task in qualities[m].tasks)
            raise fail(f"comparison.{place}", name, f"a metric that {task} cannot have; allowed: {allowed}")
    return tuple(listed.values())


def _of(coordinate: str, known: Mapping[str, Choosable]) -> dict[str, Choosable]:
    """Those that can be this coordinate of the comparison."""
    return {name: metric for name, metric in known.items() if metric.coordinate == coordinate}


def _compared(key: str, value: Any, known: Metrics, metrics: Sequence[str]) -> str:
    name = _name(f"comparison.{key}", value, known)
    if name not in metrics:
        raise fail(f"comparison.{key}", value, "must also stand in the list metrics")
    return name


def _name(key: str, value: Any, known: Metrics) -> str:
    return checks.text(key, value) if known is None else checks.choice(key, value, known)
