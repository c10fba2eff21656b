"""The law of a step in closed form.

P(x|y) = q·δ_q(x) + (1−q)·[ λ·δ_λ(x) + (1−λ)·p(x|y) ]
"""

from __future__ import annotations

from torch import Tensor


def mix(p: Tensor, delta: Tensor, weight: float) -> Tensor:
    """Law of a step that takes `delta`'s route with probability `weight`.

    p, delta: (B, V) probabilities, rows sum to 1; weight in [0, 1]. Returns (B, V).
    P = weight·δ + (1 − weight)·p. Raises ValueError for a weight outside [0, 1].
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight must lie in [0, 1], got {weight}")
    return weight * delta + (1 - weight) * p  # (B, V)


def routed(p: Tensor, delta_q: Tensor, delta_lambda: Tensor, q: float, lam: float) -> Tensor:
    """Both laws: the λ-law inside the q-law. All tensors (B, V), q and lam in [0, 1]."""
    return mix(mix(p, delta_lambda, lam), delta_q, q)  # (B, V)


def shares(
    p: Tensor, delta_q: Tensor, delta_lambda: Tensor, q: Tensor, lam: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The parts of `routed` that p, δ_λ and δ_q make, each (B, V); they sum to P. q, lam: (B, 1)."""
    return (1 - q) * (1 - lam) * p, (1 - q) * lam * delta_lambda, q * delta_q


def effective_rate(q: float, lam: float) -> float:
    """r = 1 − (1−q)(1−λ): the probability that a step takes either random route."""
    return round(1 - (1 - q) * (1 - lam), 12)  # 12 digits: 0.1 stays 0.1, and equal rates are equal
