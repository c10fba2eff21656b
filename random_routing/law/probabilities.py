"""p under a base decoder in closed form, in tensor operations alone.

This is the definition. Decoding computes the same in a few passes (`law.base_decoders`); engines that the law is built
into use this one. Order of the steps as in Hugging Face's `generate`: temperature, top-k, top-p, min-p, typical, η. The
sets of tokens that are kept equal those of its processors (tested).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import torch
from torch import Tensor

from random_routing.settings import Base

BLOCK, FEW = 256, 512  # tokens
OFF = {name: float(value) for name, value in asdict(Base()).items()}  # each setting where it does nothing


class NotFinite(ArithmeticError):
    """Logits without a distribution: NaN, infinite, or all of them −∞."""


def check_finite(top: Tensor) -> None:
    """Raises `NotFinite` where a maximum is none."""
    if not top.isfinite().all():  # NaN anywhere in a row shows here; −∞ in some places is a barred token
        raise NotFinite("logits that are not finite (NaN or infinite)")


def probabilities(logits: Tensor, base: Base) -> Tensor:
    """p under any base in closed form: (R, V) float32 from logits (R, V), rows sum to 1. Raises `NotFinite`."""
    logits = logits.float()
    top = logits.amax(1, keepdim=True)
    check_finite(top)
    values = {name: float(getattr(base, name)) for name in OFF}
    weights = ((logits - top) / values["temperature"]).exp()
    for name, truncate in TRUNCATIONS.items():
        if values[name] != OFF[name]:
            setting = torch.full_like(top, values[name], dtype=torch.float64)  # (R, 1)
            weights = truncate(weights, setting)
    if base.greedy:
        weights = torch.zeros_like(weights).scatter_(1, logits.argmax(1, keepdim=True), 1.0)
    return weights / weights.sum(1, keepdim=True)


def entropy(logits: Tensor) -> Tensor:
    """H = −Σ p·log p of each row in nats (Shannon 1948): (R,) float64, from logits (R, V)."""
    return block_sums(torch.special.entr(probabilities(logits, Base())))


def block_sums(x: Tensor) -> Tensor:
    """Σ of each row, (R,) float64: blocks in float32, and their sums one after the other in float64. x: (R, V) float32.

    A plain sum over a row may be added up in another order beside other rows.
    """
    whole = x.shape[1] // BLOCK * BLOCK
    parts = [x[:, :whole].unflatten(1, (-1, BLOCK)).sum(-1)] if whole else []
    if whole < x.shape[1]:
        parts.append(x[:, whole:].sum(1, keepdim=True))
    return torch.cat(parts, dim=1).double().cumsum(1)[:, -1]


def _top_k(weights: Tensor, top_k: Tensor) -> Tensor:
    k = top_k.clamp(max=weights.shape[1]).long()
    return _from(weights, weights.topk(int(k.max()), dim=1).values.gather(1, k - 1))


def _top_p(weights: Tensor, top_p: Tensor) -> Tensor:
    """The smallest set of likeliest tokens with probability ≥ top_p (Holtzman et al. 2020), and those that tie with its
    last one."""
    goal = block_sums(weights)[:, None] * top_p
    for count in (FEW, weights.shape[1]):  # few rows are so flat that all have to be sorted
        ranked = weights.topk(min(count, weights.shape[1]), dim=1).values
        before = (ranked.double().cumsum(1) < goal).sum(1, keepdim=True)  # of the token that reaches it
        if (before < ranked.shape[1]).all():
            break
    return _from(weights, ranked.gather(1, before.clamp_(max=ranked.shape[1] - 1)))


def _min_p(weights: Tensor, min_p: Tensor) -> Tensor:
    """Tokens that are at least `min_p` times as likely as the likeliest (Nguyen et al. 2024)."""
    return _from(weights, min_p.float())


def _typical(weights: Tensor, mass: Tensor) -> Tensor:
    """The tokens whose surprisal is nearest to the entropy, with probability ≥ mass (Meister et al. 2023)."""
    mean, _ = _mean_log(weights)
    distance = (weights.log() - mean.float()).abs_()  # of −log p from H: log Σw is in both
    ranked, token = distance.sort(1)
    reached = weights.gather(1, token).double().cumsum(1)
    last = (reached < mass * reached[:, -1:]).sum(1, keepdim=True).clamp_(max=weights.shape[1] - 1)
    return _from(weights, -ranked.gather(1, last), distance.neg_())


def _eta(weights: Tensor, epsilon: Tensor) -> Tensor:
    """Tokens of probability ≥ η = min(ε, √ε·exp(−H)) (Hewitt et al. 2022)."""
    mean, total = _mean_log(weights)
    surprise = total.log() - mean
    return _from(weights, (torch.minimum(epsilon, epsilon.sqrt() * (-surprise).exp()) * total).float())


# Each takes weights (R, V), the largest 1, and its setting (R, 1) float64, and gives the weights that it leaves.
TRUNCATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "top_k": _top_k,
    "top_p": _top_p,
    "min_p": _min_p,
    "typical_p": _typical,
    "eta": _eta,
}


def _from(weights: Tensor, edge: Tensor, score: Tensor | None = None) -> Tensor:
    """The weights (R, V) of tokens whose score is at least edge (R, 1), and 0; the score is the weight by default."""
    score = weights if score is None else score
    return torch.ge(score, edge, out=torch.empty_like(weights)).mul_(weights)  # faster than with bools


def _mean_log(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Σ w·log w / Σ w, and Σ w: (R, 1) float64 both."""
    total = block_sums(weights)[:, None]
    return block_sums(torch.special.xlogy(weights, weights))[:, None] / total, total
