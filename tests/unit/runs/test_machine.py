"""What params.yaml leaves to the machine, on a CPU (tests/unit/models/test_gpu.py has a GPU)."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from random_routing.runs import machine
from random_routing.settings import Settings
from tests.helpers import plans
from tests.helpers.tiny import tiny_model_folder


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    made = replace(plans.settings(), device="cpu", executor="local", workers=0, batch_size=0, max_rows=0)
    for name in (made.tasks["textgen"].model, made.tasks["textgen"].judge):
        tiny_model_folder(tmp_path / "data" / "assets" / name)
    return made


def on_this_machine(settings: Settings) -> Settings:
    return machine.on_this_machine(settings, settings.tasks["textgen"])


def test_workers_share_cores_and_rows(settings: Settings) -> None:
    found = on_this_machine(settings)
    assert (found.workers, found.batch_size, found.max_rows) == (4, 256, 256)
    found = on_this_machine(replace(settings, workers=2))
    assert (found.workers, found.batch_size, found.max_rows) == (2, 256, 512)
    found = on_this_machine(replace(settings, workers=1, batch_size=8, max_rows=9))
    assert (found.workers, found.batch_size, found.max_rows) == (1, 8, 9)


def test_a_cluster_has_workers_of_its_own(settings: Settings) -> None:
    found = on_this_machine(replace(settings, executor="ray"))
    assert (found.workers, found.max_rows) == (1, 1024)


def test_weights_of_all_workers_fit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("data/assets") / settings.tasks["textgen"].model
    weights = 4 * machine.weight_count(folder)
    for workers, free in ((3, 12.1), (1, 4.1), (1, 0.1)):
        monkeypatch.setattr(machine, "free_memory", lambda free=free: int(free * weights))
        assert on_this_machine(settings).workers == workers
