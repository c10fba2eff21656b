"""What processes do in tests of them."""

from __future__ import annotations

import os
from collections.abc import Callable

from random_routing.errors import PipelineError


def load() -> int:
    return 10


def run(loaded: int, unit: int, on_step: Callable[[int], None]) -> int:
    on_step(1)
    if unit == 66:
        raise PipelineError("unit 66 is bad")
    if unit == 99:
        os._exit(1)
    return loaded * unit
