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

from random_routing.runs import ray_workers
from random_routing.runs.ray_workers import on_ray
from tests.helpers.ray_nodes import at, needs_ray, nodes_of
from tests.helpers.ray_units import (
    dies_at_work_once,
    dies_before_it_is_ready,
    dies_twice,
    load,
    load_and_tell,
    slow,
    slow_to_load,
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

    def on_step(count: int) -> None:
        steps.append(count)
        (told / str(len(steps))).touch()

    (work := tmp_path / "work").mkdir()
    (told := tmp_path / "told").mkdir()
    killed = False
    with nodes_of(1, 1) as nodes:
        for result in on_ray(load, partial(slow, folder=work, told=told), numbers(), on_step, at(nodes)):
            found.append(result)
            if not killed and len(pids(work)) == 2:
                os.kill(result[1], signal.SIGKILL)
                killed = True
            if nodes.worker_nodes:
                if len(pids(work)) == 3:
                    nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)
            else:
                left -= 1
            assert len(found) < 300
    assert sorted(value for value, _ in found) == [10 * i for i in given] and len(given) >= 8
    assert capsys.readouterr().out.count("a worker was lost") == 2
    assert 0 < sum(steps) <= 4 * len(given) + 8  # told while units were at work


@pytest.mark.long
def test_a_unit_outlives_a_node_and_a_worker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its third worker is on the other node, where one that got no unit has made room."""
    with nodes_of(0, 1, 1) as nodes:

        def on_step(steps: int) -> None:
            """Stops the node that the unit is on."""
            tried = tmp_path / "attempt-0"
            if not tried.exists() or len(nodes.worker_nodes) < 2:
                return
            (hit,) = (node for node in nodes.worker_nodes if node.node_id == tried.read_text())
            nodes.remove_node(hit, allow_graceful=False)
            (tmp_path / "gone").touch()

        (found,) = on_ray(load_and_tell, partial(dies_twice, folder=tmp_path), [0], on_step, at(nodes))
        (left,) = nodes.worker_nodes
        assert found == left.node_id != (tmp_path / "attempt-0").read_text()
    assert capsys.readouterr().out.count("a worker was lost") == 2


@pytest.fixture(scope="module")
def one_node() -> Iterator[Any]:
    """Of one CPU."""
    with nodes_of(1) as nodes:
        yield nodes


@pytest.mark.long
def test_workers_lost_now_and_then_while_they_load_do_not_end_the_run(
    tmp_path: Path, one_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as would end it, but never in a row."""
    monkeypatch.setattr(ray_workers, "MOST_DEATHS", 2)
    load = partial(dies_before_it_is_ready, tmp_path)
    assert list(on_ray(load, dies_at_work_once, [7], lambda n: None, at(one_node, 1))) == [7]
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.long
def test_a_worker_that_loads_for_long_is_not_called_missing(
    tmp_path: Path, one_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers, which counts; and how far its unit is arrives before the unit is done."""
    answers, steps = 0, 0

    def on_step(count: int) -> None:
        nonlocal answers, steps
        answers, steps = answers + 1, steps + count
        if answers == 3:  # 1,800 seconds have gone by
            (tmp_path / "loaded").touch()
        if steps == 3:
            (tmp_path / "told").touch()

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 600 * answers, sleep=time.sleep)
    monkeypatch.setattr(ray_workers, "time", clock)
    load, run = partial(slow_to_load, tmp_path), partial(waits, folder=tmp_path)
    assert list(on_ray(load, run, [7], on_step, at(one_node, 1))) == [7] and steps == 3
