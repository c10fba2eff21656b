"""How a rate changes over the steps of a text."""

from __future__ import annotations

import numpy as np

from random_routing.settings import Schedule


def factors(schedule: Schedule, steps: int) -> np.ndarray:
    """The factor of each step, (steps,) float64 in [0, 1].

    With x = min(t / length, 1) it is start at t = 0 and end from t = length on, and between them
        linear       start + (end − start)·x
        cosine       end + (start − end)·(1 + cos πx)/2     (Loshchilov & Hutter 2017, equation 5)
        exponential  start·(end / start)^x
    Length 0 stands for the whole text: the last step has the end value.
    """
    if schedule.kind == "constant":
        return np.ones(steps)
    length = schedule.length or max(1, steps - 1)
    x = np.minimum(np.arange(steps) / length, 1.0)
    start, end = schedule.start, schedule.end
    if schedule.kind == "linear":
        return start + (end - start) * x
    if schedule.kind == "cosine":
        return end + (start - end) * (1 + np.cos(np.pi * x)) / 2
    return start * (end / start) ** x
