"""Routes that need only the scores: where δ comes from, in closed form.

    uniform   every token of the sampling vocabulary, with one probability
    top_k     its k likeliest tokens, with one probability
    unigram   the frequencies of a text
    frozen    a random distribution drawn once for a text: flat Dirichlet, or one of another concentration

A fresh random distribution at every step equals `uniform` in law, because the mean of a symmetric
Dirichlet distribution is uniform; one that is kept for a whole text does not: its tokens recur.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from scipy.special import gammaincinv
from torch import Tensor

from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Route


def unigram(texts: Iterable[Sequence[int]], vocabulary: Vocabulary) -> np.ndarray:
    """Relative frequency of each token, (V,) float64, zero outside the sampling vocabulary.

    texts: token ids. Raises ValueError where no token of them may be drawn.
    """
    counts = np.zeros(vocabulary.size)
    for ids in texts:
        np.add.at(counts, np.asarray(ids, dtype=np.int64), 1.0)
    kept = np.zeros_like(counts)
    kept[vocabulary.allowed] = counts[vocabulary.allowed]
    if not kept.sum():
        raise ValueError("holds no token that a random route may draw")
    return kept / kept.sum()


def frozen(u: np.ndarray, concentration: float, vocabulary: Vocabulary) -> np.ndarray:
    """A draw from the symmetric Dirichlet distribution over the sampling vocabulary: (V,) float64.

    u: (allowed,) in [0, 1). Gamma variates divided by their sum (Devroye 1986, XI.4); concentration 1
    is uniform over all distributions, below 1 a few tokens get most of the mass.
    """
    gamma = -np.log1p(-u) if concentration == 1 else gammaincinv(concentration, u)
    if not gamma.sum() > 0:  # all underflow: the largest is what the mass goes to
        gamma = (u == u.max()).astype(np.float64)
    mass = np.zeros(vocabulary.size)
    mass[vocabulary.allowed] = gamma / gamma.sum()
    return mass


def delta(route: Route, scores: Tensor, vocabulary: Vocabulary, table: np.ndarray | None = None) -> Tensor:
    """δ of a score-based route in closed form: (B, V) float32, rows sum to 1.

    scores: (B, V) logits, or log-probabilities, of the model; table: (V,) for `unigram`, (V,) or
    (B, V) for `frozen`.
    """
    mass = torch.zeros(scores.shape, dtype=torch.float32, device=scores.device)
    if route.kind == "uniform":
        mass[:, torch.from_numpy(vocabulary.allowed)] = 1 / len(vocabulary.allowed)
        return mass
    if route.kind == "top_k":
        k = min(route.k, len(vocabulary.allowed))
        chosen = ranked(scores, barred(vocabulary, scores.device), k)  # (B, k)
        return mass.scatter_(1, chosen, 1 / chosen.shape[1])
    if route.kind in ("unigram", "frozen") and table is not None:
        return mass + torch.from_numpy(table).to(mass)
    raise ValueError(f"route {route.kind} has no closed form in the scores")


def open_delta(mass: Tensor, scores: Tensor, p: Tensor) -> Tensor:
    """δ without the tokens that something before the law has forbidden (score −∞), and renormalised: (B, V).

    mass: δ, p: the model's distribution, both (B, V). Where all that δ may draw is forbidden, p alone is left.
    """
    mass = mass.masked_fill(scores.isneginf(), 0.0)
    total = mass.sum(1, keepdim=True)
    return torch.where(total > 0, mass / total, p)


def permitted(mass: Tensor, scores: Tensor, p: Tensor) -> Tensor:
    """δ where a token that the model forbids (score −∞), as any is after an episode's end, is drawn from p instead:
    (B, V). mass: δ, p: the model's distribution, both (B, V).
    """
    kept = mass.masked_fill(scores.isneginf(), 0.0)
    return kept + (mass - kept).sum(1, keepdim=True) * p


def barred(vocabulary: Vocabulary, device: torch.device | str = "cpu") -> Tensor:
    """What is added to scores so that only the sampling vocabulary is left: (V,), 0 or −inf."""
    bar = torch.full((vocabulary.size,), -torch.inf)
    bar[torch.from_numpy(vocabulary.allowed)] = 0.0
    return bar.to(device)


def ranked(scores: Tensor, bar: Tensor, k: int) -> Tensor:
    """The k likeliest tokens that may be drawn: (B, k) ids, likeliest first. scores: (B, V), left as they are.

    k: at most as many as may be drawn.
    """
    return (scores + bar).topk(k, dim=1).indices
