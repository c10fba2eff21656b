"""What `params.yaml` may say of metrics: their names, checked against those that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from random_routing.errors import fail
from random_routing.settings.checks import choice
from random_routing.settings.schema import Comparison
from random_routing.settings.tasks import Task


class Choosable(Protocol):
    """What is known of a metric here; `random_routing.metrics.METRICS`, above this package, has them."""

    @property
    def kinds(self) -> tuple[str, ...]: ...

    @property
    def coordinate(self) -> str: ...

    @property
    def role(self) -> str: ...

    def reads(self, model: Literal["judge", "embedder", "choices"]) -> bool: ...


Metrics = Mapping[str, Choosable] | None  # None: of a stage that measures nothing; any name is taken


def check_metrics(metrics: Sequence[str], known: Metrics) -> None:
    for i, name in enumerate(metrics):
        if known is not None:
            choice(f"metrics[{i}]", name, known)


def check_judges(tasks: Mapping[str, Task], metrics: Sequence[str], known: Metrics) -> None:
    """A model does not judge its own texts; where no metric reads a judge it may stand for one."""
    for name, task in tasks.items():
        readers = [m for m in metrics if known and task.kind in known[m].kinds and known[m].reads("judge")]
        if task.judge == task.model and readers:
            allowed = f"must not be the generating model, for {readers[0]} reads it"
            raise fail(f"tasks.{name}.judge", task.judge, allowed)


def check_coordinate(
    coordinate: Literal["diversity", "quality"],
    key: str,
    listed: str | Sequence[str],
    kind: str,
    metrics: Sequence[str],
    known: Metrics,
) -> None:
    """listed: the diversity or the qualities of a task of this kind, as they stand at `key`. Raises `SettingsError` for
    one that it cannot have.
    """
    names = [listed] if isinstance(listed, str) else listed
    for i, name in enumerate(names):
        place = key + (f"[{i}]" if len(names) > 1 else "")
        if known is not None:
            candidates = [m for m in known if known[m].coordinate == coordinate and kind in known[m].kinds]
            if name in known and known[name].coordinate == coordinate and kind not in known[name].kinds:
                allowed = f"a metric that {kind} cannot have; allowed: {', '.join(candidates)}"
                raise fail(place, name, allowed)
            choice(place, name, candidates)
        if name not in metrics:
            raise fail(place, name, "must also stand in the list metrics")


def check_vetoes(comparison: Comparison, metrics: Sequence[str], known: Metrics) -> None:
    """Raises `SettingsError` for a veto that cannot be."""
    for name in comparison.vetoes:
        if known is not None:
            choice("comparison.vetoes", name, [m for m in known if known[m].role == "failures"])
        if name not in metrics:
            raise fail("comparison.vetoes", name, "must also stand in the list metrics")
