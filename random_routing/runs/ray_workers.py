"""Work on a Ray cluster (Moritz et al. 2018): actors that hold a model take a unit each, and the next when it is done.

What a unit yields does not depend on where it ran. Ray itself begins a worker again that is lost, on another node if
need be, and runs its unit again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from threading import Thread
from typing import Any

import torch

from random_routing.errors import PipelineError, short
from random_routing.progress import say
from random_routing.runs.ray_connection import connect
from random_routing.settings import Cluster

POLL = 1.0  # seconds between two signs of life of a worker
PATIENCE = 900.0  # seconds in which no worker gives one, not even one that loads
MOST_DEATHS = 3  # workers that one unit, or loading the model, may cost
LOADS, READY = "loads", "ready"


class Worker:
    """An actor. Its news are (its number, `LOADS` or `READY` or steps since its last report)."""

    def __init__(self, number: int, load: Callable[[], Any], news: Any, cpus: int) -> None:
        self.number, self.news, self.steps = number, news, 0
        self.loaded: Any = None
        self.error: PipelineError | None = None
        news.put((number, LOADS))
        Thread(target=self._tell, daemon=True).start()
        torch.set_num_threads(cpus)
        try:
            self.loaded = load()
        except PipelineError as error:  # if it were raised here, Ray would not say which
            self.error = error
        except Exception as error:
            self.error = PipelineError(
                f"a worker could not load the model: {type(error).__name__}: {error}"
            )
        news.put((number, READY))

    def run(self, work: Callable[..., Any], unit: Any) -> Any:
        if self.error:
            raise self.error
        return work(self.loaded, unit, self._count)

    def _count(self, steps: int) -> None:
        self.steps += steps

    def _tell(self) -> None:
        reported = 0
        while True:
            time.sleep(POLL)
            steps = self.steps
            self.news.put((self.number, steps - reported))
            reported = steps


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
        yield from _results(ray, load, run, iter(units), on_step, cluster)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, PipelineError):
            raise error.cause from None
        raise PipelineError(f"a unit of work failed: {type(error.cause).__name__}: {error.cause}") from None
    except ray.exceptions.RayError as error:
        raise PipelineError(f"a unit of work failed: {type(error).__name__}: {short(error)}") from None
    finally:
        ray.shutdown()  # ends the workers


def _results(
    ray: Any,
    load: Callable[[], Any],
    run: Callable[..., Any],
    units: Iterator[Any],
    on_step: Callable[[int], None],
    cluster: Cluster,
) -> Iterator[Any]:
    signs = Signs(ray, on_step)
    actor = ray.remote(Worker).options(
        num_cpus=cluster.cpus_per_worker,
        num_gpus=cluster.gpus_per_worker,
        max_restarts=-1,
        max_task_retries=-1,  # it counts attempts to reach a node that is gone, so that `Signs` counts
    )
    work, rest = ray.put(run), (load, signs.queue, cluster.cpus_per_worker)
    actors = {number: actor.remote(number, *rest) for number in range(cluster.workers)}
    busy: dict[Any, int] = {}  # reference to a result → who is at it
    while True:
        signs.read()
        for number in signs.ready & actors.keys() - set(busy.values()):
            if (unit := next(units, None)) is not None:
                signs.deaths[number] = 0
                busy[actors[number].run.remote(work, unit)] = number
            else:  # its place may be what a worker needs whose node is lost
                ray.kill(actors.pop(number))
        if not busy and len(actors) < cluster.workers:
            return
        if time.monotonic() - signs.heard > PATIENCE:
            raise PipelineError(lack(ray, cluster))
        if not busy:
            time.sleep(POLL)
            continue
        for reference in ray.wait(list(busy), timeout=POLL)[0]:
            del busy[reference]
            yield ray.get(reference)


class Signs:
    """What workers tell while they are at work. Ray says neither that it has begun one again, nor how far it is."""

    def __init__(self, ray: Any, on_step: Callable[[int], None]) -> None:
        from ray.util.queue import Queue
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        this_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": this_node})
        self.on_step = on_step
        # ready: also a worker that is lost and gets its unit again
        self.loading, self.ready = set[int](), set[int]()
        self.deaths: dict[int, int] = {}  # worker → how often it was lost at the unit that it has
        self.never_ready = 0  # workers in a row that were lost while they loaded
        self.heard = time.monotonic()  # of any worker

    def read(self) -> None:
        """Raises `PipelineError` where a unit, or loading, has cost too many workers."""
        for number, what in self.queue.get_nowait_batch(self.queue.qsize()):
            self.heard = time.monotonic()
            if what == LOADS:
                self._begins(number)
            elif what == READY:
                self.never_ready = 0
                self.loading.discard(number)
                self.ready.add(number)
            else:
                self.on_step(what)

    def _begins(self, number: int) -> None:
        if number in self.loading:
            self.never_ready += 1
            if self.never_ready == MOST_DEATHS:
                raise PipelineError(
                    f"{MOST_DEATHS} workers in a row were lost while they loaded the model (out of memory?)"
                )
        elif number in self.ready:
            say("ray", "warning: a worker was lost; its unit goes to another one")
            self.deaths[number] += 1
            if self.deaths[number] == MOST_DEATHS:
                raise PipelineError(
                    f"a unit of work has cost {MOST_DEATHS} workers (out of memory? lower max_rows); "
                    "what is finished is kept, run it again"
                )
        self.loading.add(number)


def lack(ray: Any, cluster: Cluster) -> str:
    resources = ray.cluster_resources()
    return (
        f"params.yaml: ray: no worker has answered in {PATIENCE:.0f} s: one needs "
        f"{cluster.cpus_per_worker} CPUs and {cluster.gpus_per_worker:g} GPUs, the cluster has "
        f"{resources.get('CPU', 0):g} and {resources.get('GPU', 0):g} in all"
    )
