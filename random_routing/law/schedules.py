"""How a rate or a base decoder's temperature changes over the steps of a text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from random_routing.settings import Annealing, Base, Schedule


def values(schedule: Schedule, steps: int) -> np.ndarray:
    """What each step has, (steps,) float64: a factor in [0, 1] of a rate, or of an `Annealing` the temperature.

    With x = min(t / length, 1) it is start at t = 0 and end from t = length on, and between them
        linear       start + (end − start)·x
        cosine       end + (start − end)·(1 + cos πx)/2     (Loshchilov & Hutter 2017, equation 5)
        exponential  start·(end / start)^x
        exploratory  start + 1 − (1 + start − end)^x        (of temperatures alone)
    Length 0 stands for the whole text: the last step has the end value.

    The last is exploratory annealed decoding, max(1 + T_max − e^(t/d), T_min), with T_max = start, T_min = end and
    d = length / log(1 + start − end): slow at first, then ever faster (Yang et al. 2025, arXiv:2510.05251, who leave
    the first c tokens of a template at 1; here c = 0).
    """
    if schedule.kind == "constant":
        return np.ones(steps)
    length = schedule.length or _last(steps)
    x = np.minimum(np.arange(steps) / length, 1.0)
    start, end = schedule.start, schedule.end
    if schedule.kind == "linear":
        return start + (end - start) * x
    if schedule.kind == "cosine":
        return end + (start - end) * (1 + np.cos(np.pi * x)) / 2
    if schedule.kind == "exploratory":
        return start + (1 - (1 + start - end) ** x)
    return start * (end / start) ** x


def step_bases(base: Base, steps: int) -> list[Base]:
    """The base decoder of each step: itself, or with the temperature that its annealing has there.

    To 12 digits, so that equal temperatures are equal bases, which share their work.
    """
    if not isinstance(base.temperature, Annealing):
        return [base] * steps
    return [replace(base, temperature=round(float(heat), 12)) for heat in values(base.temperature, steps)]


def simplest(base: Base) -> Base:
    """With a plain temperature where it does not change, so that equal laws are equal objects."""
    heat = base.temperature
    return (
        replace(base, temperature=heat.start)
        if isinstance(heat, Annealing) and heat.start == heat.end
        else base
    )


def spelt_out(base: Base, steps: int) -> Base:
    """With the length of its annealing also where that is the whole text, so that it says all of the law."""
    heat = base.temperature
    if not isinstance(heat, Annealing) or heat.length:
        return base
    return replace(base, temperature=replace(heat, length=_last(steps)))


def _last(steps: int) -> int:
    return max(1, steps - 1)
