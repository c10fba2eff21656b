"""From logits to a base decoder's distribution.

A distribution is kept as weights w = exp((x − max x)/T), zero where a truncation cuts, without the
division by their sum: a vocabulary of 262,144 words is read as few times as can be, and the usual
truncations do not sort it. Order of the steps as in Hugging Face's `generate`: temperature, top-k, top-p,
min-p, typical, η. The sets of tokens that are kept equal those of its processors (tested).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from random_routing.law.blocks import block_sums, first_largest
from random_routing.settings import Base

LEAST = -1e4  # logits below have no weight at all
OFF = {name: float(value) for name, value in asdict(Base()).items()}  # each setting where it does nothing
CANDIDATES = (64, 512, 4096)  # how many of the likeliest tokens the nucleus is first looked for in


class NotFinite(ArithmeticError):
    """Logits without a distribution: NaN, infinite, or all of them −∞."""


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
    """p as the model gives it; one for each row of the logits. moment: (R,) float64, Σ weights·x where it is known."""

    moment: Tensor | None = None

    def entropy(self) -> Tensor:
        """H = −Σ p·log p of each row in nats (Shannon 1948): (R,) float64."""
        sums = self._moment() if self.moment is None else self.moment
        mean = sums / self.total - self.top[:, 0]  # of log weights
        return (self.total.log() - mean).clamp(min=0.0)

    def _moment(self) -> Tensor:
        sums = block_sums(self.weights * self.logits)
        if sums.isnan().any():  # 0·−inf, from tokens that the model must not write
            sums = block_sums(self.weights * self.logits.clamp(min=LEAST))
        return sums

    def ranks(self, row: Tensor, token: Tensor) -> Tensor:
        """Rank of token[i] in row[i] by its logit: (M,) int64, 1 for the likeliest; ties share the best."""
        size = self.logits.shape[1]
        pairs, back = (row * size + token).unique(return_inverse=True)
        row, token = pairs // size, pairs % size
        if row.is_cuda:
            from random_routing.law.kernels import ranks  # Triton is there where a GPU is

            return ranks(self.logits, row, token)[back]
        rank = torch.ones_like(row)
        behind = (self.logits[row, token] < self.top[row, 0]).nonzero()[:, 0]
        for some in behind.split(len(self.row)):
            rank[some] += self._above(row[some], token[some])
        return rank[back]

    def _above(self, row: Tensor, token: Tensor) -> Tensor:
        """How many tokens of row[i] have a higher logit than token[i]: (N,) int64."""
        logits = self.logits.index_select(0, row)
        # A sum of floats is much faster than one of bools, and exact.
        return torch.gt(logits, logits.gather(1, token[:, None]), out=logits).sum(1).long()


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
    """p as the model gives it: logits (R, V), left as they are; float32, or any on a GPU. Raises `NotFinite`."""
    moment: Tensor | None = None
    if logits.is_cuda:
        from random_routing.law.kernels import softmax  # Triton is there where a GPU is

        weights, top, total, moment = softmax(logits)
    else:
        top = logits.amax(1, keepdim=True)
        weights = (logits - top).exp_()  # the likeliest token has weight 1
        total = block_sums(weights)
    if not top.isfinite().all():  # NaN anywhere in a row shows here; −∞ in some places is a barred token
        raise NotFinite("logits that are not finite (NaN or infinite)")
    rows = torch.arange(len(logits), device=logits.device)
    one, whole = torch.ones_like(total), torch.zeros_like(rows).bool()
    return Plain(logits, top, rows, weights, total, one, whole, moment)


def under(p: Plain, row: Tensor, bases: Bases) -> Distribution:
    """p of row[i] under the i-th base: (N, V). Greedy has all its mass on the likeliest token, the first of equals."""
    if row.is_cuda and not bases.used & {"typical_p", "eta"}:
        from random_routing.law import kernels  # Triton is there where a GPU is

        weights, total = kernels.under(p.logits, p.top, row, bases.columns)
        return Distribution(
            p.logits, p.top, row, weights, total, bases.columns["temperature"], bases.truncated
        )
    weights = p.weights.index_select(0, row)
    some, heat = bases.made("temperature")
    if len(some):
        from_top = p.logits.index_select(0, row[some]).float().sub_(p.top[row[some]])
        weights.index_copy_(0, some, from_top.div_(heat.float()).exp_())
    for name, truncate in TRUNCATIONS.items():
        some, value = bases.made(name)
        if len(some):
            weights.index_copy_(0, some, truncate(weights.index_select(0, some), value))
    some, _ = bases.made("greedy")
    if len(some):
        weights.index_fill_(0, some, 0.0)
        weights[some, first_largest(p.logits.index_select(0, row[some]))] = 1.0
    total, temperature = block_sums(weights), bases.columns["temperature"]
    return Distribution(p.logits, p.top, row, weights, total, temperature, bases.truncated)


def distribution(logits: Tensor, base: Base) -> Distribution:
    """p of every row under one base: logits (R, V) float32, left as they are. Raises `NotFinite`."""
    p = plain(logits)
    return (
        p if base == Base() else under(p, p.row, Bases.of([base], logits.device)[torch.zeros_like(p.row)])
    )


def probabilities(logits: Tensor, base: Base) -> Tensor:
    """p under any base in closed form: (R, V) from logits (R, V) float32, rows sum to 1."""
    weights = distribution(logits, base).weights
    return weights / weights.sum(1, keepdim=True)


def likeliest(weights: Tensor, k: int) -> Tensor:
    """The k largest of each row, in descending order: (R, k).

    They lie in the k groups with the largest maxima; groups are strided, so that their maxima are
    found in one vectorised pass.
    """
    rows, size = weights.shape
    members = math.isqrt(size // k)  # of a group: there are as many groups as tokens in the chosen ones
    if members < 2:
        return weights.topk(k, dim=1).values
    groups = size // members
    whole = weights[:, : groups * members].view(rows, members, groups)
    chosen = whole.amax(1).topk(k, dim=1).indices  # (R, k)
    inside = whole.gather(2, chosen[:, None].expand(-1, members, -1)).flatten(1)  # (R, members·k)
    return torch.cat([inside, weights[:, groups * members :]], dim=1).topk(k, dim=1).values


def nucleus_edge(weights: Tensor, top_p: Tensor) -> Tensor:
    """The smallest weight in each row's nucleus, (R, 1): the smallest set of likeliest tokens with
    probability ≥ top_p, (R, 1) (Holtzman et al. 2020). Tokens that tie with the last one belong to it.
    """
    size, goal = weights.shape[1], block_sums(weights)[:, None] * top_p
    edge = torch.empty_like(weights[:, :1])
    left, rest = torch.arange(len(weights), device=weights.device), weights
    for count in (*CANDIDATES, size):  # few rows are so flat that all has to be sorted
        ranked = likeliest(rest, min(count, size))
        before = ranked.double().cumsum(1) < goal[left]  # the tokens before the one that reaches the goal
        last = before.sum(1, keepdim=True)
        edge[left] = ranked.gather(1, last.clamp(max=ranked.shape[1] - 1))
        beyond = (last[:, 0] >= count).nonzero()[:, 0]
        if not len(beyond):
            break
        left, rest = left[beyond], rest.index_select(0, beyond)
    return edge


def _top_k(weights: Tensor, top_k: Tensor) -> Tensor:
    k = top_k.clamp(max=weights.shape[1]).long()
    return _from(weights, likeliest(weights, int(k.max())).gather(1, k - 1))


def _top_p(weights: Tensor, top_p: Tensor) -> Tensor:
    return _from(weights, nucleus_edge(weights, top_p))


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
    entropy = total.log() - mean
    return _from(weights, (torch.minimum(epsilon, epsilon.sqrt() * (-entropy).exp()) * total).float())


# Each takes weights (R, V) and its setting (R, 1) float64, and gives the weights that it leaves.
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
