"""Units → store, by the executor that `params.yaml` names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from random_routing.decode.loop import Work
from random_routing.errors import PipelineError
from random_routing.models.memory import Warn
from random_routing.models.network import LanguageModel
from random_routing.runs.blocks import make_ready, pack
from random_routing.runs.guard import Done, run_guarded
from random_routing.runs.plan import Plan, Text
from random_routing.runs.processes import in_processes
from random_routing.runs.ray_workers import on_ray
from random_routing.runs.store import Store
from random_routing.settings import Settings

# (load, run, units, on_step) → results in the order in which they are done, as `in_processes` says
Executor = Callable[
    [Callable[[], Any], Callable[..., Any], Iterable[Any], Callable[[int], None]], Iterator[Any]
]
MOST_FAILED = 20  # examples; with more of them something else is wrong


def executor_of(settings: Settings) -> Executor:
    if settings.executor == "ray":
        return partial(on_ray, cluster=settings.ray)
    return partial(in_processes, workers=settings.workers)


def run_units(
    load: Callable[[], LanguageModel],
    plan: Plan,
    units: Iterable[list[Text]],
    store: Store,
    batch_size: int,
    execute: Executor,
    on_step: Callable[[int], None] = lambda count: None,
    on_unit: Callable[[int], None] = lambda count: None,
) -> Work:
    """Put the texts of `units` into the store, unit by unit; an interruption loses one a worker.

    Raises `PipelineError` at the end that names the examples which could not be run; all others are kept.
    """
    total, failed, warn = Work(), dict[str, str](), Warn(batch_size)
    run = partial(run_guarded, plan=plan, batch_size=batch_size)
    done: Done
    for done in execute(
        partial(make_ready, load, plan.prefix, plan.shared_key["numerics"]), run, units, on_step
    ):
        store.put({key: pack(trajectory) for key, trajectory in done.found.items()})
        total += done.work
        total.texts += len(done.found)
        on_unit(len(done.found))
        failed |= done.failed
        warn(done.batch_size)
        if not done.found and len(done.failed) > 1 and len({*done.failed.values()}) == 1:
            raise PipelineError(
                f"data/assets/{plan.task.model}: all {len(done.failed)} examples that ran together fail alike "
                f"({next(iter(done.failed.values()))}); the model or the machine is at fault, not an example; what was "
                "made is kept"
            )
        if len(failed) > MOST_FAILED:
            break
    if failed:
        some = "; ".join(f"{name} ({why})" for name, why in list(failed.items())[:5])
        stopped = len(failed) > MOST_FAILED
        rest = "; stopped there, what was made is kept" if stopped else "; the texts of all others are made"
        raise PipelineError(
            f"data/prepared/{plan.task.name}.jsonl: {len(failed)} examples could not be run: {some}"
            f"{'; …' if len(failed) > 5 else ''}{rest}"
        )
    return total
