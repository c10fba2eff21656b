"""The luck of a world: what is drawn at each step of an episode, a pure function of the episode's seed.

So all decoders of an episode meet the same slippery steps (common random numbers), and those that take the same
actions are in the same state.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from random_routing.law.noise import GAMMA, shifted, signed, spread

BITS = 53  # of a number in [0, 1) in float64


def luck(seed: Tensor, step: Tensor) -> Tensor:
    """The number of a step, in units of 2^-53: (N,) int64 in [0, 2^53). seed, step: (N,) int64.

    Step 0 is the draw of the first state, step t + 1 that of what action t does.
    """
    return shifted(spread(seed + step * signed(GAMMA), 1)[:, 0], 64 - BITS)


def uniform_luck(seed: np.ndarray, step: int) -> np.ndarray:
    """The same in [0, 1): (N,) float64. seed: (N,) int64."""
    seeds = torch.from_numpy(np.asarray(seed, dtype=np.int64))
    return luck(seeds, torch.full_like(seeds, step)).numpy() * 2.0**-BITS


def thresholds(chance: np.ndarray) -> np.ndarray:
    """Where outcomes part: (..., K) int64 in the units of `luck`, from chances (..., K) that sum to 1.

    The number of them that are not above a draw is the outcome, as of `Environment.step` to the last bit: scaling by a
    power of two is exact. The last is beyond any draw.
    """
    edges = np.ceil(chance.cumsum(-1) * 2.0**BITS).astype(np.int64)
    edges[..., -1] = 2**BITS
    return edges
