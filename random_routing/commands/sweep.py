"""One task → a task of each model and seed, in params.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from random_routing.settings.tasks import KINDS


def sweep(values: Any, name: str, models: Sequence[str], seeds: Sequence[int]) -> None:
    """Put a task of each model and seed in the place of the file's only one, where there are several.

    Tasks have stages of their own: each model and seed is cached, repeated and resumed by itself.
    """
    task = values["tasks"][name]
    kind = task.get("kind", name)
    if len(seeds) == 1:
        values["seed"] = seeds[0]
        task.pop("seed", None)
    if len(models) > 1 or len(seeds) > 1:
        del values["tasks"][name]
    for model in models if name not in values["tasks"] else ():
        for seed in seeds if len(seeds) > 1 else (None,):
            own = {"model": model} | ({} if seed is None else {"seed": seed})
            several = ([model] if len(models) > 1 else []) + ([] if seed is None else [str(seed)])
            values["tasks"]["-".join([name, *several])] = {"kind": kind, **deepcopy(task), **own}
    _follow(values, name, kind)


def _follow(values: Any, name: str, kind: str) -> None:
    """What was said of a task that has another name now is said of its kind; of those that left, nothing."""
    known = {*KINDS, *values["tasks"]}
    comparison = values["comparison"]
    sections = [comparison["quality"], comparison["delta"], values["tune"]["weight"]]
    for section in [*sections, *filter(lambda one: isinstance(one, dict), [comparison["diversity"]])]:
        if name in section and name not in known:
            section[kind] = section[name]
        for left in [other for other in section if other not in known]:
            del section[left]
    contrasts = comparison.get("contrasts") or {}
    for key, contrast in list(contrasts.items()):
        if about := contrast.get("tasks"):
            named = [kind if one == name else one for one in about]
            contrast["tasks"] = [one for one in dict.fromkeys(named) if one in known]
            if not contrast["tasks"]:
                del contrasts[key]
