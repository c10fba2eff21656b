"""Where units of work run: here, in processes, or on a cluster, as `params.yaml` says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from random_routing.runs.processes import in_processes
from random_routing.runs.ray_workers import on_ray
from random_routing.settings import Settings

# (load, run, units, on_step) → results in the order in which they are done, as `in_processes` says
Executor = Callable[
    [Callable[[], Any], Callable[..., Any], Iterable[Any], Callable[[int], None]], Iterator[Any]
]


def executor_of(settings: Settings) -> Executor:
    if settings.executor == "ray":
        return partial(on_ray, cluster=settings.ray)
    return partial(in_processes, workers=settings.workers)
