"""Workers and nodes of a Ray cluster that are lost: every unit arrives once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from random_routing.runs import ray_workers as cluster
from random_routing.runs.ray_workers import Pool, on_ray
from tests.ray_nodes import at, needs_ray, nodes_of
from tests.ray_units import (
    dies_at_work_once,
    dies_before_it_is_ready,
    dies_twice,
    load,
    load_and_tell,
    slow,
    slow_to_load,
    tell,
    waits,
)

pytestmark = needs_ray


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


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[Pool]:
    """Those of a test, to see what they know."""
    made: list[Pool] = []

    class Seen(Pool):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(cluster, "Pool", Seen)
    return made


def test_a_worker_that_was_idle_on_a_lost_node_gets_no_unit(
    tmp_path: Path, pools: list[Pool], capsys: pytest.CaptureFixture[str]
) -> None:
    """It would count as the third worker that the unit has cost."""
    with nodes_of(0, 1, 1) as nodes:

        def on_step(steps: int) -> None:
            """Stops the other node once its worker is known as idle, and the unit at work."""
            tried = tmp_path / "attempt-0"
            if not pools[0].idle or not tried.exists() or len(nodes.worker_nodes) < 2:
                return
            (idle,) = (node for node in nodes.worker_nodes if node.node_id != tried.read_text())
            nodes.remove_node(idle, allow_graceful=False)
            (tmp_path / "gone").touch()

        (found,) = on_ray(load_and_tell, partial(dies_twice, folder=tmp_path), [0], on_step, at(nodes))
        (left,) = nodes.worker_nodes
        assert found == left.node_id == (tmp_path / "attempt-0").read_text()
    assert capsys.readouterr().out.count("a worker was lost") == 2


@pytest.fixture(scope="module")
def one_node() -> Iterator[Any]:
    """Of one CPU."""
    with nodes_of(1) as nodes:
        yield nodes


def test_workers_lost_now_and_then_while_they_load_do_not_end_the_run(
    tmp_path: Path, one_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as would end it, but never in a row."""
    monkeypatch.setattr(cluster, "MOST_DEATHS", 2)
    load = partial(dies_before_it_is_ready, tmp_path)
    assert list(on_ray(load, dies_at_work_once, [7], lambda n: None, at(one_node, 1))) == [7]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_worker_whose_result_is_lost_is_ended(one_node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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
    (found,) = on_ray(load, tell, [0], lambda n: None, at(one_node, 1))
    assert found != lost[0]  # another process


def test_a_worker_that_loads_for_long_is_not_called_missing(
    tmp_path: Path, one_node: Any, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers, which counts; and how far its unit is arrives before the unit is done."""
    answers, steps = 0, 0

    def on_step(count: int) -> None:
        nonlocal answers, steps
        answers, steps = answers + 1, steps + count
        if pools[0].starting and answers == 3:  # 1,800 seconds have gone by
            (tmp_path / "loaded").touch()
        if steps == 3:
            (tmp_path / "told").touch()

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 600 * answers)
    monkeypatch.setattr(cluster, "time", clock)
    load, run = partial(slow_to_load, tmp_path), partial(waits, folder=tmp_path)
    assert list(on_ray(load, run, [7], on_step, at(one_node, 1))) == [7] and steps == 3
