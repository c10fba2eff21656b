"""Work on a Ray cluster (Moritz et al. 2018): actors that hold a model take a unit each, and the next when it is done.

What a unit yields does not depend on where it ran. A unit whose worker or node is lost goes to another worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch

from pipeline.checks import PipelineError, short
from pipeline.decoding.connection import connect
from pipeline.settings import Cluster
from pipeline.stage import say

POLL = 1.0  # seconds between two looks at the progress
PATIENCE = 900.0  # seconds without any worker that is ready
MOST_DEATHS = 3  # workers that one unit, or loading the model, may cost


class Worker:
    """The life of an actor. Two methods run at a time, so that it tells its progress while it works."""

    def __init__(self, cpus: int) -> None:
        self.cpus, self.steps = cpus, 0
        self.loaded: Any = None
        self.work: Callable[..., Any] | None = None

    def start(self, load: Callable[[], Any], run: Callable[..., Any]) -> None:
        torch.set_num_threads(self.cpus)
        self.loaded, self.work = load(), run

    def run(self, unit: Any) -> Any:
        assert self.work is not None
        torch.set_num_threads(self.cpus)  # this may be another thread than the one that loaded
        return self.work(self.loaded, unit, self._count)

    def _count(self, steps: int) -> None:
        self.steps += steps

    def steps_so_far(self) -> int:
        return self.steps


def on_ray(
    load: Callable[[], Any],
    run: Callable[..., Any],
    units: Iterable[Any],
    on_step: Callable[[int], None],
    cluster: Cluster,
) -> Iterator[Any]:
    """As `workers.in_processes`, on a cluster.

    Raises `PipelineError` where Ray is not installed or not reached, no worker can be had, or a unit has cost three
    workers.
    """
    ray = connect(cluster)
    try:
        pool = Pool(ray, cluster, ray.put(load), ray.put(run))
        try:
            yield from pool.results(iter(units), on_step)
        finally:
            pool.stop()
    finally:
        ray.shutdown()


class Pool:
    """Actors, what each is at, and units that wait for a second try. load, run: references to objects in Ray."""

    def __init__(self, ray: Any, cluster: Cluster, load: Any, run: Any) -> None:
        self.ray, self.cluster, self.load, self.work = ray, cluster, load, run
        self.starting: dict[Any, Any] = {}  # reference → actor
        self.idle: list[Any] = []
        self.busy: dict[Any, tuple[Any, Any, int]] = {}  # reference → actor, unit, deaths so far
        self.again: list[tuple[Any, int]] = []  # units whose worker was lost, deaths
        self.never_ready = 0  # workers in a row that were lost while they loaded
        self.told: dict[Any, int] = {}  # actor → steps that it has answered
        for _ in range(cluster.workers):
            self.add()

    def add(self) -> None:
        options = {"num_cpus": self.cluster.cpus_per_worker, "num_gpus": self.cluster.gpus_per_worker}
        remote = self.ray.remote(Worker).options(max_concurrency=2, **options)
        actor = remote.remote(self.cluster.cpus_per_worker)
        self.starting[actor.start.remote(self.load, self.work)] = actor

    def results(self, units: Iterator[Any], on_step: Callable[[int], None]) -> Iterator[Any]:
        alive, looked = time.monotonic(), 0.0
        while self.hand_out(units):
            done, _ = self.ray.wait([*self.busy, *self.starting], timeout=POLL)
            for reference in done:
                if reference in self.starting:
                    self.started(reference)
                else:
                    yield from self.finished(reference)
            now = time.monotonic()
            if self.busy or self.idle:
                alive = now
            elif now - alive > PATIENCE:
                raise PipelineError(self.lack())
            if now - looked > POLL:
                looked = now
                on_step(self.steps())

    def hand_out(self, units: Iterator[Any]) -> bool:
        """Give units to idle actors. False when all is done."""
        while self.idle:
            unit, deaths = self.again.pop() if self.again else (next(units, None), 0)
            if unit is None:
                return bool(self.busy)
            actor = self.idle.pop()
            self.busy[actor.run.remote(unit)] = (actor, unit, deaths)
        return True

    def started(self, reference: Any) -> None:
        actor = self.starting.pop(reference)
        if self._value(reference, "a worker could not load the model") is LOST:
            self.ray.kill(actor)
            self.never_ready += 1
            if self.never_ready == MOST_DEATHS:
                raise PipelineError(
                    f"{MOST_DEATHS} workers in a row were lost while they loaded the model (out of memory?)"
                )
            self.add()
        else:
            self.never_ready = 0
            self.idle.append(actor)

    def finished(self, reference: Any) -> Iterator[Any]:
        actor, unit, deaths = self.busy.pop(reference)
        value = self._value(reference, "a unit of work failed")
        if value is not LOST:
            self.idle.append(actor)
            yield value
            return
        say("ray", "warning: a worker was lost; its unit goes to another one")
        self.ray.kill(actor)  # one that lives, with its result lost, would keep its CPUs
        self.look_after_idle()
        if deaths + 1 == MOST_DEATHS:
            raise PipelineError(
                f"a unit of work has cost {MOST_DEATHS} workers (out of memory? lower max_rows); "
                "what is finished is kept, run it again"
            )
        self.again.append((unit, deaths + 1))
        self.add()

    def _value(self, reference: Any, what: str) -> Any:
        """LOST where the actor or its node is gone. Raises `PipelineError` for what the code raised."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(reference)
        except errors.RayTaskError as error:
            if isinstance(error.cause, PipelineError):
                raise error.cause from None
            raise PipelineError(f"{what}: {type(error.cause).__name__}: {error.cause}") from None
        except (
            errors.RayActorError,
            errors.WorkerCrashedError,
            errors.ObjectLostError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
        ):
            return LOST
        except errors.RayError as error:
            raise PipelineError(f"{what}: {type(error).__name__}: {short(error)}") from None

    def look_after_idle(self) -> None:
        """A lost node takes its idle workers with it: they must not get a unit, nor count as its victims."""
        answers = self.answers(self.idle, 5 * POLL)
        for actor in list(self.idle):
            if answers.get(actor, LOST) is LOST:
                self.idle.remove(actor)
                self.ray.kill(actor)
                self.add()

    def steps(self) -> int:
        """Of all busy workers since they answered last."""
        total = 0
        for actor, steps in self.answers([actor for actor, _, _ in self.busy.values()], POLL).items():
            if steps is not LOST:  # its unit says so when it is
                total += steps - self.told.get(actor, 0)
                self.told[actor] = steps
        return total

    def answers(self, actors: Sequence[Any], seconds: float) -> dict[Any, Any]:
        """Actor → its steps so far, or LOST; without those that do not answer in time."""
        asked = {actor.steps_so_far.remote(): actor for actor in actors}
        if not asked:
            return {}
        answered, _ = self.ray.wait(list(asked), num_returns=len(asked), timeout=seconds)
        return {asked[one]: self._value(one, "a worker does not say how far it is") for one in answered}

    def lack(self) -> str:
        there = self.ray.cluster_resources()
        return (
            f"params.yaml: ray: no worker was ready in {PATIENCE:.0f} s: one needs "
            f"{self.cluster.cpus_per_worker} CPUs and {self.cluster.gpus_per_worker:g} GPUs, the cluster has "
            f"{there.get('CPU', 0):g} and {there.get('GPU', 0):g} in all"
        )

    def stop(self) -> None:
        for actor in [*self.idle, *self.starting.values(), *(actor for actor, _, _ in self.busy.values())]:
            self.ray.kill(actor)


LOST = object()
