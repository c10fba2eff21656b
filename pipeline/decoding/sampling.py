"""From logits to a base decoder's distribution, and from that to a token."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import (
    EtaLogitsWarper,
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from pipeline.settings import Base

BLOCK = 256  # tokens a block of the two-level search in `inverse_cdf`


def processors(base: Base) -> LogitsProcessorList:
    """Hugging Face's own processors, in the order in which `generate` applies them."""
    chain = LogitsProcessorList()
    if base.temperature != 1.0:
        chain.append(TemperatureLogitsWarper(base.temperature))
    if base.top_k:
        chain.append(TopKLogitsWarper(base.top_k))
    if base.top_p < 1.0:
        chain.append(TopPLogitsWarper(base.top_p))
    if base.min_p > 0.0:
        chain.append(MinPLogitsWarper(base.min_p))
    if base.typical_p < 1.0:
        chain.append(TypicalLogitsWarper(base.typical_p))
    if base.eta > 0.0:
        chain.append(EtaLogitsWarper(base.eta))
    return chain


def base_log_probs(logits: Tensor, base: Base) -> Tensor:
    """log p(x|y) in nats under the base decoder: (B, V) from logits (B, V) float32.

    Greedy is the limit of low temperature: 0 for the likeliest token, −inf elsewhere.
    """
    if base.greedy:
        one_hot = torch.full_like(logits, -torch.inf)
        return one_hot.scatter_(1, logits.argmax(1, keepdim=True), 0.0)  # (B, V)
    ids = torch.empty(len(logits), 0, dtype=torch.long)  # these processors read scores only
    return torch.log_softmax(processors(base)(ids, logits), dim=-1)  # type: ignore[arg-type]  # (B, V)


def inverse_cdf(log_probs: Tensor, u: Tensor) -> Tensor:
    """The token at which the cumulative probability, in order of token id, passes u.

    log_probs: (B, V) float32; u: (B,) float64 in [0, 1). Returns (B,) int64. Two levels, blocks
    then tokens, with sums in float64: exact to about 1e-7, and a token of probability 0 is never
    chosen (Devroye 1986, "Non-Uniform Random Variate Generation", III.2).
    """
    rows, size = log_probs.shape
    padded = -(-size // BLOCK) * BLOCK
    p = log_probs.exp()
    if padded != size:
        p = torch.nn.functional.pad(p, (0, padded - size))
    p = p.view(rows, padded // BLOCK, BLOCK)  # (B, V/256, 256)
    cumulative = p.sum(-1).double().cumsum(1)  # (B, V/256)
    target = u * cumulative[:, -1]  # (B,)
    block = (cumulative <= target[:, None]).sum(1).clamp(max=p.shape[1] - 1)
    every = torch.arange(rows)
    before = torch.where(block > 0, cumulative[every, block - 1], 0.0)
    inside = p[every, block].double()  # (B, 256)
    inner = inside.cumsum(1)
    # The block's two sums differ in the last digit; scale so that the search ends inside the block.
    span = cumulative[every, block] - before
    aim = (target - before) / span * inner[:, -1]
    offset = (inner <= aim[:, None]).sum(1)
    last = (BLOCK - 1) - (inside.flip(1) > 0).int().argmax(1)  # the last token of positive probability
    return block * BLOCK + torch.minimum(offset, last)
