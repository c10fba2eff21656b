"""From logits to a base decoder's distribution, and from that to a token.

A distribution is kept as weights w = exp((x − max x)/T), zero where a truncation cuts, without the
division by their sum: a vocabulary of 262,144 words is read as few times as can be, and no
truncation sorts it. Order of the steps as in Hugging Face's `generate`: temperature, top-k, top-p,
min-p, typical, η. The sets of tokens that are kept equal those of its processors (tested).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import EtaLogitsWarper, TypicalLogitsWarper

from random_routing.settings import Base

BLOCK = 256  # tokens a block of the two-level search in `Distribution.draw`
LEAST = -1e4  # logits below have no weight at all
CANDIDATES = 512  # how many of the likeliest tokens the nucleus is first looked for in


class NotFinite(ArithmeticError):
    """Logits without a distribution: NaN, infinite, or all of them −∞."""


@dataclass(frozen=True)
class Distribution:
    """p(x|y) of R rows under a base decoder.

    logits: (R, V) float32; top: (R, 1) their maximum; weights: (R, V), p is proportional to them;
    blocks: (R, V/256) float64, cumulative sums of the weights of blocks; temperature as in `Base`.
    """

    logits: Tensor
    top: Tensor
    weights: Tensor
    blocks: Tensor
    temperature: float
    truncated: bool

    def log_probs(self, row: np.ndarray, token: np.ndarray) -> np.ndarray:
        """log p in nats of token[i] in row[i]: (M,) float32; −inf for a token that is cut off."""
        at = (self._indices(row), self._indices(token))
        scores = (self.logits[at] - self.top[at[0], 0]).double() / self.temperature
        log_p = (scores - self.blocks[at[0], -1].log()).float()
        if self.truncated:
            log_p.masked_fill_(self.weights[at] == 0, -torch.inf)
        return log_p.cpu().numpy()

    def entropy(self) -> np.ndarray:
        """H = −Σ p·log p of each row in nats (Shannon 1948): (R,) float64."""
        sums = _block_sums(self.weights * self.logits)[:, -1]
        if sums.isnan().any():  # 0·−inf, from tokens that the model must not write
            sums = _block_sums(self.weights * self.logits.clamp(min=LEAST))[:, -1]
        total = self.blocks[:, -1]
        mean = (sums / total - self.top[:, 0]) / self.temperature  # of log weights
        return (total.log() - mean).clamp(min=0.0).cpu().numpy()

    def ranks(self, row: np.ndarray, token: np.ndarray) -> np.ndarray:
        """Rank of token[i] in row[i] by its logit: (M,) int32, 1 for the likeliest; ties share the best."""
        pairs, back = np.unique(row.astype(np.int64) * self.logits.shape[1] + token, return_inverse=True)
        rows, tokens = np.divmod(pairs, self.logits.shape[1])
        found = np.empty(len(pairs), dtype=np.int32)
        turn = np.arange(len(pairs)) - np.searchsorted(rows, rows)  # a token of each row a turn
        for number in range(turn.max() + 1):
            here = np.flatnonzero(turn == number)
            at, score = self._indices(rows[here]), self._indices(tokens[here])
            logits = self.logits if len(here) == len(self.logits) else self.logits[at]  # (N, V)
            above = torch.gt(logits, self.logits[at, score][:, None], out=torch.empty_like(logits))
            found[here] = above.sum(1).cpu().numpy() + 1  # sums of floats are much faster than of bools
        return found[back]

    def draw(self, row: np.ndarray, u: np.ndarray) -> np.ndarray:
        """The token of row[i] at which the cumulative probability, in order of token id, passes u[i].

        u: (M,) float64 in [0, 1). Returns (M,) int64. Two levels, blocks then tokens, with sums in
        float64: exact to about 1e-7, and a token of probability 0 is never drawn (Devroye 1986,
        "Non-Uniform Random Variate Generation", III.2).
        """
        size, at = self.weights.shape[1], self._indices(row)
        cumulative = self.blocks[at]  # (M, V/256)
        target = torch.from_numpy(u).to(at.device) * cumulative[:, -1]
        block = (cumulative <= target[:, None]).sum(1).clamp(max=cumulative.shape[1] - 1)
        end = cumulative.gather(1, block[:, None])[:, 0]
        before = cumulative.gather(1, (block - 1).clamp(min=0)[:, None])[:, 0] * (block > 0)
        place = block[:, None] * BLOCK + torch.arange(BLOCK, device=at.device)  # (M, 256)
        inside = self.weights[at[:, None], place.clamp(max=size - 1)].double() * (place < size)
        inner = inside.cumsum(1)
        # The block's two sums differ in the last digit; scale so that the search ends inside the block.
        aim = (target - before) / (end - before) * inner[:, -1]
        offset = (inner <= aim[:, None]).sum(1)
        last = (BLOCK - 1) - (inside.flip(1) > 0).int().argmax(1)  # the last token of positive weight
        return (block * BLOCK + torch.minimum(offset, last)).cpu().numpy()

    def _indices(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.weights.device)


def distribution(logits: Tensor, base: Base) -> Distribution:
    """p under `base` (not greedy, see `Base`): logits (R, V) float32, left as they are. Raises `NotFinite`."""
    top = logits.amax(1, keepdim=True)
    if not top.isfinite().all():  # NaN anywhere in a row shows here; −∞ in some places is a barred token
        raise NotFinite("logits that are not finite (NaN or infinite)")
    weights = logits - top
    if base.temperature != 1.0:
        weights.div_(base.temperature)
    weights.exp_()  # the likeliest token has weight 1
    if base.top_k:
        k = min(base.top_k, weights.shape[1])
        _keep_from(weights, likeliest(weights, k)[:, -1:])
    if base.top_p < 1.0:
        _keep_from(weights, nucleus_edge(weights, base.top_p))
    if base.min_p > 0.0:
        _keep_from(weights, base.min_p)
    if base.typical_p < 1.0:
        _warp(weights, TypicalLogitsWarper(base.typical_p))
    if base.eta > 0.0:
        _warp(weights, EtaLogitsWarper(base.eta))
    return Distribution(logits, top, weights, _block_sums(weights), base.temperature, is_truncated(base))


def probabilities(logits: Tensor, base: Base) -> Tensor:
    """p under any base in closed form: (R, V) from logits (R, V) float32, rows sum to 1."""
    if base.greedy:
        return torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).float()
    weights = distribution(logits, base).weights
    return weights / weights.sum(1, keepdim=True)


def is_truncated(base: Base) -> bool:
    return bool(base.top_k) or base.top_p < 1 or base.min_p > 0 or base.typical_p < 1 or base.eta > 0


def likeliest(weights: Tensor, k: int) -> Tensor:
    """The k largest of each row, in descending order: (R, k).

    They lie in the k groups with the largest maxima; groups are strided, so that their maxima are
    found in one vectorised pass.
    """
    rows, size = weights.shape
    groups = size // 64
    if groups < 2 * k:
        return weights.topk(k, dim=1).values
    whole = weights[:, : groups * 64].view(rows, 64, groups)
    chosen = whole.amax(1).topk(k, dim=1).indices  # (R, k)
    inside = whole.gather(2, chosen[:, None].expand(-1, 64, -1)).flatten(1)  # (R, 64·k)
    return torch.cat([inside, weights[:, groups * 64 :]], dim=1).topk(k, dim=1).values


def nucleus_edge(weights: Tensor, top_p: float) -> Tensor:
    """The smallest weight in each row's nucleus, (R, 1): the smallest set of likeliest tokens with
    probability ≥ top_p (Holtzman et al. 2020). Tokens that tie with the last one belong to it.
    """
    goal = _block_sums(weights)[:, -1] * top_p
    edge = torch.empty(len(weights), 1, dtype=weights.dtype, device=weights.device)
    left = torch.arange(len(weights), device=weights.device)
    for count in (CANDIDATES, weights.shape[1]):  # few rows are so flat that all has to be sorted
        ranked = likeliest(weights[left], min(count, weights.shape[1]))
        reached = ranked.double().cumsum(1)
        last = (reached < goal[left, None]).sum(1)  # tokens before the one that reaches the goal
        found = last < ranked.shape[1] if count < weights.shape[1] else torch.ones_like(last).bool()
        at = last[found].clamp(max=ranked.shape[1] - 1)
        edge[left[found]] = ranked[found].gather(1, at[:, None])
        left = left[~found]
        if not len(left):
            break
    return edge


def _keep_from(weights: Tensor, edge: Tensor | float) -> None:
    weights.masked_fill_(weights < edge, 0.0)


def _warp(weights: Tensor, warper: TypicalLogitsWarper | EtaLogitsWarper) -> None:
    weights.masked_fill_(warper(None, weights.log()).isneginf(), 0.0)


def _block_sums(weights: Tensor) -> Tensor:
    """(R, V/256) float64: cumulative sums of the weights of blocks of 256 tokens."""
    rows, size = weights.shape
    whole = size // BLOCK
    sums = weights[:, : whole * BLOCK].view(rows, whole, BLOCK).sum(-1)
    if whole * BLOCK != size:
        sums = torch.cat([sums, weights[:, whole * BLOCK :].sum(-1, keepdim=True)], dim=1)
    return sums.double().cumsum(1)
