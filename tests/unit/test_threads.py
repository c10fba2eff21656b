"""Threads sleep where others are at work, and a user's choice stands."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from random_routing import threads


@pytest.mark.parametrize("alone", [True, False])
def test_threads_look_before_they_sleep_on_a_quiet_machine(
    monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "quiet", lambda: alone)
    threads.choose()
    chosen = {
        name: os.environ[name] for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if name in os.environ
    }
    assert chosen == ({"GOMP_SPINCOUNT": threads.LOOKS} if alone else {"OMP_WAIT_POLICY": "PASSIVE"})


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_a_choice_stands(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(os, "environ", {name: "7"})
    threads.choose()
    assert os.environ == {name: "7"}


@pytest.mark.skipif(not os.path.exists("/proc/loadavg"), reason="Linux says what runs")
def test_a_machine_at_work_is_not_quiet() -> None:
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        assert not threads.quiet()
    finally:
        for process in spinning:
            process.kill()
            process.wait()
