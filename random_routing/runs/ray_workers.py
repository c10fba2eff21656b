"""Work on a Ray cluster (Moritz et al. 2018): actors that hold a model take a unit each, and the next when it is done.

What a unit yields does not depend on where it ran. A unit whose worker or node is lost goes to another worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from random_routing.errors import PipelineError, short
from random_routing.progress import say
from random_routing.runs.ray_connection import connect
from random_routing.settings import Cluster

POLL = 1.0  # seconds between two questions to a worker how far it is
PATIENCE = 900.0  # seconds in which no worker answers, not even one that loads
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
    """As `processes.in_processes`, on a cluster.

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
    """Actors, what each is at, and units that wait for a second try. load, run: references to objects in Ray.

    Every answer is an event, and nothing follows from one that is late: on a busy machine all of them are. A worker is
    lost when Ray says so.
    """

    def __init__(self, ray: Any, cluster: Cluster, load: Any, run: Any) -> None:
        self.ray, self.cluster, self.load, self.work = ray, cluster, load, run
        self.starting: dict[Any, Any] = {}  # reference → actor
        self.idle: list[Any] = []
        self.doubted: dict[Any, Any] = {}  # reference → actor that was idle when another was lost
        self.busy: dict[Any, tuple[Any, Any, int]] = {}  # reference → actor, unit, deaths so far
        self.asked: dict[Any, Any] = {}  # reference → actor that is to say how far it is
        self.again: list[tuple[Any, int]] = []  # units whose worker was lost, deaths
        self.never_ready = 0  # workers in a row that were lost while they loaded
        self.told: dict[Any, int] = {}  # actor → steps that it has answered
        self.heard = time.monotonic()  # of any worker
        for _ in range(cluster.workers):
            self.add()

    def add(self) -> None:
        options = {"num_cpus": self.cluster.cpus_per_worker, "num_gpus": self.cluster.gpus_per_worker}
        remote = self.ray.remote(Worker).options(max_concurrency=2, **options)
        actor = remote.remote(self.cluster.cpus_per_worker)
        self.starting[actor.start.remote(self.load, self.work)] = actor

    def results(self, units: Iterator[Any], on_step: Callable[[int], None]) -> Iterator[Any]:
        looked = time.monotonic()
        while self.hand_out(units):
            for reference in self.ready():
                if reference in self.starting:
                    self.started(reference)
                elif reference in self.doubted:
                    self.answered(reference)
                elif reference in self.asked:
                    on_step(self.steps(reference))
                else:
                    yield from self.finished(reference)
            now = time.monotonic()
            if not self.busy and now - self.heard > PATIENCE:
                raise PipelineError(self.lack())
            if now - looked > POLL:
                looked = now
                self.ask()

    def ready(self) -> list[Any]:
        """References to what is there; waits for the first, at most until the next look at the clock."""
        waiting = [*self.busy, *self.starting, *self.doubted, *self.asked]
        self.ray.wait(waiting, timeout=POLL)
        done, _ = self.ray.wait(waiting, num_returns=len(waiting), timeout=0)
        return done

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
            self.never_ready += 1
            if self.never_ready == MOST_DEATHS:
                raise PipelineError(
                    f"{MOST_DEATHS} workers in a row were lost while they loaded the model (out of memory?)"
                )
            self.replace(actor)
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
        # A lost node takes its idle workers with it: they must not get a unit, nor count as its victims.
        self.doubted |= {idle.steps_so_far.remote(): idle for idle in self.idle}
        self.idle.clear()
        if deaths + 1 == MOST_DEATHS:
            raise PipelineError(
                f"a unit of work has cost {MOST_DEATHS} workers (out of memory? lower max_rows); "
                "what is finished is kept, run it again"
            )
        self.again.append((unit, deaths + 1))
        self.replace(actor)

    def answered(self, reference: Any) -> None:
        actor = self.doubted.pop(reference)
        if self._value(reference, SILENT) is LOST:
            self.replace(actor)
        else:
            self.idle.append(actor)

    def replace(self, actor: Any) -> None:
        self.ray.kill(actor)  # one that lives, with its result lost, would keep its CPUs
        self.add()

    def _value(self, reference: Any, what: str) -> Any:
        """LOST where the actor or its node is gone. Raises `PipelineError` for what the code raised."""
        errors = self.ray.exceptions
        try:
            value = self.ray.get(reference)
            self.heard = time.monotonic()
            return value
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

    def ask(self) -> None:
        """Those that have answered, how far they are; those that load, to hear that they live."""
        silent = set(self.asked.values())
        for actor in [*self.starting.values(), *(actor for actor, _, _ in self.busy.values())]:
            if actor not in silent:
                self.asked[actor.steps_so_far.remote()] = actor

    def steps(self, reference: Any) -> int:
        """Of an actor since it answered last."""
        actor = self.asked.pop(reference)
        steps, before = self._value(reference, SILENT), self.told.get(actor, 0)
        if steps is LOST:  # its unit says so when it is
            return 0
        self.told[actor] = steps
        return steps - before

    def lack(self) -> str:
        there = self.ray.cluster_resources()
        return (
            f"params.yaml: ray: no worker has answered in {PATIENCE:.0f} s: one needs "
            f"{self.cluster.cpus_per_worker} CPUs and {self.cluster.gpus_per_worker:g} GPUs, the cluster has "
            f"{there.get('CPU', 0):g} and {there.get('GPU', 0):g} in all"
        )

    def stop(self) -> None:
        actors = [*self.idle, *self.starting.values(), *self.doubted.values()]
        for actor in [*actors, *(actor for actor, _, _ in self.busy.values())]:
            self.ray.kill(actor)


LOST = object()
SILENT = "a worker does not say how far it is"
