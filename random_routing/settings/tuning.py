"""The section `tune` of `params.yaml`: a search for the best setting, in place of the whole grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from random_routing.errors import fail
from random_routing.settings import checks
from random_routing.settings.schema import Task, Tuning, Variant

RIVALS = ("temperature", "top_p")
SCHEDULES = ("constant", "explore_first")
SAMPLERS = {"tpe": ("reward", "front"), "random": ("reward", "front"), "nsga2": ("front",)}
KEYS = (
    "enabled", "share", "trials", "batch", "rungs", "patience", "minutes", "sampler", "objective", "target",
    "weight", "variants", "floor", "schedules", "rivals",
)  # fmt: skip


def parse_tuning(value: Any, tasks: Mapping[str, Task], variants: Mapping[str, Variant]) -> Tuning:
    """Raises `SettingsError`, also where the space would be empty."""
    section = checks.mapping("tune", value)
    checks.keys("tune", section, KEYS)
    trials = checks.integer(
        "tune.trials", section["trials"], 2, 100_000, "the search looks at all of them before each batch"
    )
    batch = checks.integer("tune.batch", section["batch"], 1, trials)
    sampler = checks.choice("tune.sampler", section["sampler"], tuple(SAMPLERS))
    objective = checks.choice("tune.objective", section["objective"], ("reward", "front"))
    if objective not in SAMPLERS[sampler]:
        raise fail("tune.objective", objective, f"sampler {sampler} needs {' or '.join(SAMPLERS[sampler])}")
    weights = checks.mapping("tune.weight", section["weight"])
    checks.keys("tune.weight", weights, tasks, ("textgen", "dialogue", "translation"))
    return Tuning(
        enabled=checks.boolean("tune.enabled", section["enabled"]),
        share=checks.number("tune.share", section["share"], 0.1, 0.9),
        trials=trials,
        batch=batch,
        rungs=checks.integer("tune.rungs", section["rungs"], 1, 6),
        patience=checks.integer("tune.patience", section["patience"], 0),
        minutes=checks.number("tune.minutes", section["minutes"], 0, 100_000),
        sampler=sampler,
        objective=objective,
        target=_target(section["target"]),
        weight={name: checks.number(f"tune.weight.{name}", weights[name], 0, 1e9) for name in tasks},
        variants=tuple(variants)
        if section["variants"] == "all"
        else _listed("variants", section["variants"], tuple(variants)),
        floor=checks.number("tune.floor", section["floor"], 1e-6, 0.5),
        schedules=_listed("schedules", section["schedules"], SCHEDULES),
        rivals=_listed("rivals", section["rivals"], RIVALS, empty_ok=True),
    )


def _target(value: Any) -> float | str:
    if isinstance(value, str):
        return checks.choice("tune.target", value, ("human", "sampling"))
    return checks.number("tune.target", value, -1e9, 1e9)


def _listed(key: str, value: Any, allowed: tuple[str, ...], empty_ok: bool = False) -> tuple[str, ...]:
    listed = checks.sequence(f"tune.{key}", value, empty_ok)
    return tuple(checks.choice(f"tune.{key}[{i}]", name, allowed) for i, name in enumerate(listed))
