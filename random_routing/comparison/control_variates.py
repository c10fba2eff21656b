"""Less noise from what is 0 on average by the law: how many random steps texts had, and how surprising their tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from random_routing.resampling.intervals import Sampled

LEAST = 10  # examples for each control and the mean: fewer would fit the controls to the noise


def controlled(value: Sampled, controls: Sequence[Sampled]) -> tuple[Sampled, float]:
    """The value minus what the controls, whose means are 0, say of its luck; and its variance over that without.

    The slopes are those of least squares over the resamples (Lavenberg & Welch 1981); each takes a degree of freedom.
    Controls that do not vary are left out; with too few examples nothing is changed.
    """
    moving = [control for control in controls if np.ptp(control.resamples) > 0]
    known = np.isfinite(value.resamples)
    if not moving or value.examples < LEAST * (1 + len(moving)) or known.sum() < 2:
        return value, 1.0
    columns = np.stack([control.resamples for control in moving], axis=1)  # (B, controls)
    centred = columns[known] - columns[known].mean(0)
    of_value = value.resamples[known] - value.resamples[known].mean()
    slopes, _, rank, _ = np.linalg.lstsq(centred, of_value, rcond=1e-6)
    less = Sampled(
        value.value - float(slopes @ [control.value for control in moving]),
        value.resamples - columns @ slopes,
        value.examples - int(rank),
    )
    variance = float(of_value.var())
    return less, float(less.resamples[known].var()) / variance if variance else 1.0
