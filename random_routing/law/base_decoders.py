"""From logits to a base decoder's distribution, as decoding needs it: to draw from, and to look things up.

A distribution is kept as weights w = exp((x − max x)/T), zero where a truncation cuts, without the division by their
sum. Kernels on a GPU and compiled loops on a CPU read a vocabulary as few times as can be; `law.probabilities` has the
definition, and the truncations that are rare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from random_routing.law import loops
from random_routing.law.probabilities import OFF, TRUNCATIONS, block_sums, check_finite
from random_routing.settings import Base

RARE = ("typical_p", "eta")  # the last of the truncations, in tensor operations


@dataclass(frozen=True)
class Distribution:
    """p(x|y) of N rows, each under a base decoder.

    logits: (R, V), top: (R, 1) float32 their maximum, row: (N,) whose each distribution is; weights: (N, V) float32,
    p is proportional to them; total: (N,) float64, their sum; temperature: (N,) float64; truncated: (N,) bool.
    """

    logits: Tensor
    top: Tensor
    row: Tensor
    weights: Tensor
    total: Tensor
    temperature: Tensor
    truncated: Tensor

    def log_probs(self, at: Tensor, token: Tensor) -> Tensor:
        """log p in nats of token[i] in distribution at[i]: (M,) float32; −∞ for a token that is cut off."""
        row = self.row[at]
        scores = (self.logits[row, token] - self.top[row, 0]).double() / self.temperature[at]
        log_p = (scores - self.total[at].log()).float()
        return log_p.masked_fill(self.truncated[at] & (self.weights[at, token] == 0), -torch.inf)


@dataclass(frozen=True)
class Plain(Distribution):
    """p as the model gives it; one for each row of the logits. moment: (R,) float64, Σ weights·x."""

    moment: Tensor

    def entropy(self) -> Tensor:
        """H = −Σ p·log p of each row in nats (Shannon 1948): (R,) float64."""
        mean = self.moment / self.total - self.top[:, 0]  # of log weights
        return (self.total.log() - mean).clamp(min=0.0)

    def ranks(self, row: Tensor, token: Tensor) -> Tensor:
        """Rank of token[i] in row[i] by its logit: (M,) int64, 1 for the likeliest; ties share the best."""
        size = self.logits.shape[1]
        pairs, back = (row * size + token).unique(return_inverse=True)
        rank: Tensor = _passes(row).ranks(self.logits, pairs // size, pairs % size)
        return rank[back]


@dataclass(frozen=True)
class Bases:
    """A base decoder for each of N rows. columns: setting → (N,) float64; used: the settings that any of them makes."""

    columns: dict[str, Tensor]
    used: frozenset[str]

    @classmethod
    def of(cls, bases: Sequence[Base], device: torch.device | str = "cpu") -> Bases:
        values = {name: [float(getattr(base, name)) for base in bases] for name in OFF}
        columns = {
            name: torch.tensor(some, dtype=torch.float64).to(device) for name, some in values.items()
        }
        return cls(columns, frozenset(name for name in OFF if set(values[name]) != {OFF[name]}))

    def made(self, name: str) -> tuple[Tensor, Tensor]:
        """The rows (N',) that make a setting, and its values (N', 1)."""
        column = self.columns[name]
        rows = (column != OFF[name]).nonzero()[:, 0] if name in self.used else column.new_empty(0).long()
        return rows, column[rows, None]

    @property
    def truncated(self) -> Tensor:
        """Whether each leaves tokens out: (N,) bool."""
        made = [self.columns[name] != OFF[name] for name in self.used - {"temperature"}]
        return torch.stack([torch.zeros_like(self.columns["greedy"]).bool(), *made]).any(0)

    def __getitem__(self, pick: Tensor) -> Bases:
        return Bases({name: column[pick] for name, column in self.columns.items()}, self.used)


def plain(logits: Tensor) -> Plain:
    """p as the model gives it: logits (R, V), float32 or bfloat16, left as they are. Raises `NotFinite`."""
    weights, top, total, moment = _passes(logits).softmax(logits)
    check_finite(top)
    rows = torch.arange(len(logits), device=logits.device)
    one, whole = torch.ones_like(total), torch.zeros_like(rows).bool()
    return Plain(logits, top, rows, weights, total, one, whole, moment)


def under(p: Plain, row: Tensor, bases: Bases) -> Distribution:
    """p of row[i] under the i-th base: (N, V). Greedy has all its mass on the likeliest token, the first of equals."""
    weights, total = _passes(row).under(p.logits, p.top, row, bases.columns)
    for name in RARE:
        some, value = bases.made(name)
        if len(some):
            left = TRUNCATIONS[name](weights.index_select(0, some), value)
            weights.index_copy_(0, some, left)
            total.index_copy_(0, some, block_sums(left))
    return Distribution(p.logits, p.top, row, weights, total, bases.columns["temperature"], bases.truncated)


def distribution(logits: Tensor, base: Base) -> Distribution:
    """p of every row under one base: logits (R, V), left as they are. Raises `NotFinite`."""
    p = plain(logits)
    return (
        p if base == Base() else under(p, p.row, Bases.of([base], logits.device)[torch.zeros_like(p.row)])
    )


def _passes(where: Tensor) -> Any:
    """What reads a whole vocabulary: `softmax`, `under` and `ranks`."""
    if where.is_cuda:
        from random_routing.law import kernels  # Triton is there where a GPU is

        return kernels
    return loops
