"""Attention that neither copies key/value heads nor changes a row with the rows beside it.

The library's `eager` attention repeats every key/value head for its group of query heads, which for
a decode step moves more memory than all weights. Here the query heads of a group are the rows of one
product with their shared head, in a fixed order of additions (`random_routing.models.fixed_products`). Registered
through transformers' public attention interface.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from random_routing.models.fixed_products import dots, sums

NAME = "grouped_eager"


def grouped_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """query: (B, H, T, D); key, value: (B, K, S, D) with H a multiple of K; mask: (B, 1, T, S), added.

    Returns (B, T, H, D). softmax(scaling·q·kᵀ + mask)·v (Vaswani et al. 2017, equation 1) with the
    heads in groups (Ainslie et al. 2023), in the order of operations of the library's eager attention.
    """
    if kwargs.get("s_aux") is not None:
        raise ValueError("attention sinks are not supported")
    rows, heads, length, size = query.shape
    groups = heads // key.shape[1]
    scaling = size**-0.5 if scaling is None else scaling
    grouped = query.reshape(rows, key.shape[1], groups * length, size)  # (B, K, G·T, D)
    fixed = (
        query.dtype == torch.float32 and query.device.type == "cpu"
    )  # bf16's products are oneDNN's already
    scores = dots(grouped, key) if fixed else torch.matmul(grouped, key.transpose(2, 3))
    scores = scores * scaling  # (B, K, G·T, S)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    scores = scores.view(rows, heads, length, -1)  # (B, H, T, S)
    if position_bias is not None:  # T5's relative positions
        scores = scores + position_bias
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = weights.view(rows, key.shape[1], groups * length, -1)
    output = sums(weights, value) if fixed else torch.matmul(weights, value)  # (B, K, G·T, D)
    return output.view(rows, heads, length, -1).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, grouped_attention)
AttentionMaskInterface.register(NAME, eager_mask)
