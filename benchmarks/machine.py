"""What the machine can do at most, and what a model's row costs in arithmetic."""

from __future__ import annotations

import resource
import time

import torch
from torch import nn

from random_routing.models.invariant import InvariantLinear


def multiply_peak(dtype: str, size: int = 2048, repeats: int = 8) -> float:
    """GFLOP/s of a square matrix product, the best of `repeats`, by torch's own routine or with weights laid out for
    oneDNN, whichever is faster.
    """
    a, b = (torch.randn(size, size).to(getattr(torch, dtype)) for _ in range(2))
    packed, best = InvariantLinear(b, None), float("inf")
    for _ in range(repeats):
        for multiply in (lambda: torch.nn.functional.linear(a, b), lambda: packed(a)):
            started = time.perf_counter()
            multiply()
            best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best / 1e9


def row_gflop(network: nn.Module) -> float:
    """GFLOP of all products with weights for one token (2 per weight); attention's are left out."""
    return (
        sum(2 * m.in_features * m.out_features for m in network.modules() if isinstance(m, InvariantLinear))
        / 1e9
    )


def peak_memory_gib() -> float:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
