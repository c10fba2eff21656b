"""When a step takes a random route.

A gate gives every step a weight in [0, 1], and is open where the step's uniform number is below it:

    token     the rate itself, so steps are independent
    span      1 inside a span, else 0: spans have a geometric length of a given mean
    sequence  1 in all steps or in none, drawn once for a text (with a schedule: until its rate is below)
    entropy   min(1, scale · H/log V), H the entropy of the model's own distribution, before any base

The share of open steps is the rate for each of them (for `entropy` on the calibration's texts).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from random_routing.settings import Gate


def weights(gate: Gate, rates: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Weight of each step given the gate's own numbers.

    rates: (steps,) in [0, 1]; u: (N, steps) in [0, 1), the gate's noise. Returns (N, steps) float64.
    For `entropy` it is what multiplies the gate probability: `entropy_weights` has the rest.
    """
    if gate.kind == "span":
        return span_states(rates, gate.mean, u).astype(np.float64)
    if gate.kind == "sequence":
        return (u[:, :1] < rates).astype(np.float64)
    return np.broadcast_to(rates, u.shape)


def span_states(rates: np.ndarray, mean: float, u: np.ndarray) -> np.ndarray:
    """Open or not, (N, steps) bool: a Markov chain whose state is open at step t with probability rates[t].

    An open span goes on with probability s = 1 − 1/mean, so its length is geometric; a closed gate
    opens with the probability a that solves rates[t] = rates[t−1]·s + (1 − rates[t−1])·a. Where the
    rate falls faster than spans end, s is what keeps it: rates[t] / rates[t−1].
    """
    opened = np.empty(u.shape, dtype=bool)
    opened[:, 0] = u[:, 0] < rates[0]
    for t in range(1, u.shape[1]):
        before, now = rates[t - 1], rates[t]
        stay = min(1 - 1 / mean, now / before) if before > 0 else 0.0
        enter = (now - before * stay) / (1 - before) if before < 1 else 0.0
        opened[:, t] = u[:, t] < np.where(opened[:, t - 1], stay, enter)
    return opened


def entropy_weights(scale: Any, entropy: Any, vocabulary: int) -> Any:
    """min(1, scale·h) with h = H/log V the normalised entropy. entropy: nats, an array or tensor of any shape."""
    return (scale * entropy / math.log(vocabulary)).clip(max=1.0)


def calibrated_scale(rate: float, entropy: np.ndarray, vocabulary: int) -> float:
    """The scale at which the mean of `entropy_weights` over the steps `entropy`, (N,) nats, is `rate`.

    Exact: with h in ascending order and the m largest at weight 1, the mean is
    (scale·Σ others + m) / N, and m is the smallest number for which scale·(next h) ≤ 1. Where more
    than the share `rate` of steps has no entropy at all, every other step gets weight 1.
    """
    h = np.sort(np.asarray(entropy, dtype=np.float64)) / math.log(vocabulary)
    below = np.concatenate([[0.0], h.cumsum()])  # sums of the smallest 0, 1, … values
    for full in range(len(h)):
        others = len(h) - full
        if below[others] <= 0:
            break
        scale = (rate * len(h) - full) / below[others]
        if scale * h[others - 1] <= 1:
            return float(f"{max(scale, 0.0):.12g}")
    positive = h[h > 0]
    return float(f"{1 / positive[0]:.12g}") if len(positive) else 0.0
