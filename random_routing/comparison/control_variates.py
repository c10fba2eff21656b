"""Less noise from what is 0 on average by the law: how many random steps texts had, and how surprising their tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from random_routing.resampling.intervals import Sampled

LEAST = 10  # examples for each control and the mean: fewer would fit the controls to the noise
WORTH = 0.9  # share of the variance that may be left: less is taken by chance, too, which makes intervals too narrow


def controlled(value: Sampled, controls: Sequence[Sampled]) -> tuple[Sampled, float]:
    """The value minus what the controls, whose means are 0, say of its luck; and its variance over that without.

    The slopes are those of least squares over the resamples. Each takes a degree of freedom, and is itself uncertain:
    k of them make the variance that n examples leave (n−1)/(n−1−k) · (n−2)/(n−2−k) times as large (Lavenberg & Welch
    1981). Where they take less than a tenth, and with too few examples, nothing is changed. Controls that do not vary
    are left out.
    """
    moving = [control for control in controls if np.ptp(control.resamples) > 0]
    known = np.isfinite(value.resamples)
    if not moving or value.examples < LEAST * (1 + len(moving)) or known.sum() < 2:
        return value, 1.0
    columns = np.stack([control.resamples for control in moving], axis=1)  # (B, controls)
    centred = columns[known] - columns[known].mean(0)
    of_value = value.resamples[known] - value.resamples[known].mean()
    slopes, _, rank, _ = np.linalg.lstsq(centred, of_value, rcond=1e-6)
    left, n, k = value.resamples - columns @ slopes, value.examples, int(rank)
    cost = (n - 1) / (n - 1 - k) * (n - 2) / (n - 2 - k)
    variance = float(of_value.var())
    kept = cost * float(left[known].var()) / variance if variance else 1.0
    if kept > WORTH:
        return value, 1.0
    middle = left[known].mean()
    less = value.value - float(slopes @ [control.value for control in moving])
    return Sampled(less, middle + math.sqrt(cost) * (left - middle), n - k), kept
