"""What makes a token: the model or one of the two random routes. One enumeration for all that tells them apart."""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor


class Origin(IntEnum):
    """Which distribution a token is drawn from. These numbers stand in the files' column `routes`."""

    MODEL = 0  # p
    Q = 1  # δ_q
    LAMBDA = 2  # δ_λ


def origins(q_open: Tensor, lambda_open: Tensor) -> Tensor:
    """The `Origin` of each token, (M,) int8, from which gates are open, (M,) bool.

    P = q·δ_q + (1−q)·[λ·δ_λ + (1−λ)·p]: the q-gate decides first, the λ-gate where it is shut.
    """
    inner = torch.where(lambda_open, Origin.LAMBDA.value, Origin.MODEL.value)  # λ·δ_λ + (1−λ)·p
    return torch.where(q_open, Origin.Q.value, inner).to(torch.int8)  # q·δ_q + (1−q)·[…]
