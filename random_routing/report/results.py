"""What the report is made of: a task's metrics, and under `tune` what tuning found (None: switched off)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from random_routing.files import read_json


def read_measured(tasks: Iterable[str]) -> dict[str, dict[str, Any]]:
    return {
        task: {**read_json(f"data/metrics/{task}.json"), "tune": read_json(f"data/tune/{task}.json")}
        for task in tasks
    }
