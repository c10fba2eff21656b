"""Workers and nodes of a Ray cluster that are lost: every unit arrives once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.decoding import cluster
from pipeline.decoding.cluster import Pool, on_ray
from tests.ray_nodes import at, load, needs_ray, nodes_of

pytestmark = needs_ray


def slow(loaded: int, unit: int, on_step: Callable[[int], None], folder: Path) -> tuple[int, int]:
    """Says who it is, works for a while, and gives ten times the unit."""
    (folder / f"{unit}-{loaded}").touch()
    for _ in range(4):
        time.sleep(0.15)
        on_step(1)
    return 10 * unit, loaded


def pids(folder: Path) -> set[int]:
    return {int(path.name.split("-")[1]) for path in folder.iterdir()}


def test_a_killed_worker_and_a_stopped_node_lose_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """kill -9 of a worker when both have worked, and a node stopped when a third has."""
    steps: list[int] = []
    found: list[tuple[int, int]] = []
    given: list[int] = []
    left = 8  # units after the node is gone

    def numbers() -> Iterator[int]:
        while left > 0:
            given.append(len(given))
            yield given[-1]

    killed = False
    with nodes_of(1, 1) as nodes:
        for result in on_ray(load, partial(slow, folder=tmp_path), numbers(), steps.append, at(nodes)):
            found.append(result)
            if not killed and len(pids(tmp_path)) == 2:
                os.kill(result[1], signal.SIGKILL)
                killed = True
            if nodes.worker_nodes:
                if len(pids(tmp_path)) == 3:
                    nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)
            else:
                left -= 1
            assert len(found) < 300
    assert sorted(value for value, _ in found) == [10 * i for i in given] and len(given) >= 8
    assert capsys.readouterr().out.count("a worker was lost") == 2
    assert 0 < sum(steps) <= 4 * len(given) + 8  # told while units were at work


def load_and_tell(folder: Path) -> str:
    """The node that it is on."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    (folder / f"loaded-{os.getpid()}").write_text(node)
    return node


def dies_twice(node: str, unit: int, on_step: Callable[[int], None], folder: Path) -> str:
    """Waits until the other node is gone, and kills its worker; the third worker lives."""
    attempts = len(list(folder.glob("attempt-*")))
    (folder / f"attempt-{attempts}").write_text(node)
    if attempts < 2:
        while not (folder / "gone").exists():
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    return node


def test_a_worker_that_was_idle_on_a_lost_node_gets_no_unit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would count as the third worker that the unit has cost."""
    with nodes_of(0, 1, 1) as nodes:

        def on_step(steps: int) -> None:
            """The driver looks around every second."""
            tried = tmp_path / "attempt-0"
            if (
                len(list(tmp_path.glob("loaded-*"))) < 2
                or not tried.exists()
                or len(nodes.worker_nodes) < 2
            ):
                return
            time.sleep(1)  # loaded, and soon known as idle
            (idle,) = (node for node in nodes.worker_nodes if node.node_id != tried.read_text())
            nodes.remove_node(idle, allow_graceful=False)
            (tmp_path / "gone").touch()

        (found,) = on_ray(
            partial(load_and_tell, tmp_path), partial(dies_twice, folder=tmp_path), [0], on_step, at(nodes)
        )
        (left,) = nodes.worker_nodes
        assert found == left.node_id == (tmp_path / "attempt-0").read_text()
    assert capsys.readouterr().out.count("a worker was lost") == 2


def dies_before_it_is_ready(folder: Path) -> Path:
    """Every other time."""
    count = len(list(folder.iterdir()))
    (folder / f"{count}").touch()
    if count % 2 == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return folder


def dies_at_work_twice(folder: Path, unit: int, on_step: Callable[[int], None]) -> int:
    if len(list(folder.iterdir())) < 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return unit


def test_workers_lost_now_and_then_while_they_load_do_not_end_the_run(tmp_path: Path) -> None:
    """Three, but never two in a row."""
    with nodes_of(1) as nodes:
        load = partial(dies_before_it_is_ready, tmp_path)
        assert list(on_ray(load, dies_at_work_twice, [7], lambda n: None, at(nodes, 1))) == [7]
    assert len(list(tmp_path.iterdir())) == 6


def tell(loaded: int, unit: int, on_step: Callable[[int], None]) -> int:
    return loaded


def test_a_worker_whose_result_is_lost_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lives, and would keep the only CPU from the worker that follows it."""
    real = Pool._value
    lost: list[Any] = []

    def value(self: Pool, reference: Any, what: str) -> Any:
        found = real(self, reference, what)
        if what == "a unit of work failed" and not lost:
            lost.append(found)
            return cluster.LOST
        return found

    monkeypatch.setattr(Pool, "_value", value)
    monkeypatch.setattr(cluster, "PATIENCE", 30.0)
    with nodes_of(1) as nodes:
        (found,) = on_ray(load, tell, [0], lambda n: None, at(nodes, 1))
    assert found != lost[0]  # another process
