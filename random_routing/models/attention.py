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
from transformers.masking_utils import eager_mask, sdpa_mask

from random_routing.models.fixed_products import dots, sums
from random_routing.models.shared import Pages

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
    """query: (B, H, T, D); key, value: (B, K, S, D) with H a multiple of K; mask: of `grouped_mask`.

    Returns (B, T, H, D). softmax(scaling·q·kᵀ + mask)·v (Vaswani et al. 2017, equation 1) with the
    heads in groups (Ainslie et al. 2023), in the order of operations of the library's eager attention.
    """
    if kwargs.get("s_aux") is not None:
        raise ValueError("attention sinks are not supported")
    rows, heads, length, size = query.shape
    groups = heads // key.shape[1]
    scaling = size**-0.5 if scaling is None else scaling
    pages: Pages | None = getattr(key, "pages", None)
    if pages is None and key.shape[0] != rows:
        raise ValueError("keys of other rows")
    if query.is_cuda:
        from random_routing.models.tiles import attend  # Triton is there where a GPU is

        return attend(query, key, value, attention_mask, scaling, softcap, position_bias, pages), None
    if pages:
        key, value = pages.dense(key), pages.dense(value)
    grouped = query.reshape(rows, key.shape[1], groups * length, size)  # (B, K, G·T, D)
    fixed = query.dtype == torch.float32  # bf16's products are oneDNN's already
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


def grouped_mask(*args: Any, **kwargs: Any) -> Tensor | None:
    """On a CPU (B, 1, T, S), added to the scores, on a GPU bool: which keys are seen."""
    if torch.device(kwargs.get("device", "cpu")).type == "cpu":
        return eager_mask(*args, **kwargs)
    return sdpa_mask(*args, **{**kwargs, "allow_is_causal_skip": False})


AttentionInterface.register(NAME, grouped_attention)
AttentionMaskInterface.register(NAME, grouped_mask)
