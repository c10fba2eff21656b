"""What the tests of vLLM share: closed forms in numpy, and χ²."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chisquare

from tests.helpers import LONG

CURRENT = os.environ.get("VLLM_USE_V2_MODEL_RUNNER") == "1"  # which of vLLM's two model runners is tested
PROMPT = "rain and trade"
DRAWS = 20_000 if LONG or not CURRENT else 500  # the current runner takes 20 ms a token here
K = 4

LAWS: dict[str, dict[str, Any]] = {
    "uniform": {"q": 0.2},
    "top-k in a nucleus": {"lambda": 0.3, "lambda_route": {"top_k": K}, "base": {"top_p": 0.9}},
    "both": {"q": 0.1, "lambda": 0.3, "lambda_route": {"top_k": K}},
    "entropy gate": {"q": 1, "q_gate": {"entropy": 0.4}, "q_route": {"top_k": K}},
    "epsilon-greedy": {"q": 0.3, "base": "greedy"},
    "mix before": {"q": 0.3, "base": {"temperature": 0.5, "top_p": 0.8}, "mix": "before"},
}


@dataclass(frozen=True)
class Known:
    """p: (V,) the model's own distribution; allowed: ids of the sampling vocabulary."""

    p: np.ndarray
    allowed: np.ndarray

    @property
    def uniform(self) -> np.ndarray:
        return self._even(self.allowed)

    @property
    def likeliest(self) -> np.ndarray:
        return self._even(self.allowed[np.argsort(-self.p[self.allowed])[:K]])

    def _even(self, ids: np.ndarray) -> np.ndarray:
        mass = np.zeros_like(self.p)
        mass[ids] = 1 / len(ids)
        return mass

    def law(self, name: str) -> np.ndarray:
        """P of each of `LAWS`, written out: (V,)."""
        p = self.p
        if name == "uniform":
            return 0.2 * self.uniform + 0.8 * p
        if name == "top-k in a nucleus":
            return 0.3 * self.likeliest + 0.7 * nucleus(p, 0.9)
        if name == "both":
            return 0.1 * self.uniform + 0.9 * (0.3 * self.likeliest + 0.7 * p)
        if name == "entropy gate":
            share = min(1.0, 0.4 * -(p * np.log(p)).sum() / np.log(len(p)))
            return share * self.likeliest + (1 - share) * p
        if name == "epsilon-greedy":
            return 0.3 * self.uniform + 0.7 * (np.arange(len(p)) == p.argmax())
        mixture = (0.3 * self.uniform + 0.7 * p) ** 2  # temperature 0.5
        return nucleus(mixture / mixture.sum(), 0.8)


def nucleus(p: np.ndarray, top_p: float) -> np.ndarray:
    """The smallest set of likeliest tokens with probability ≥ top_p, renormalised."""
    order = np.argsort(-p)
    kept = order[: np.searchsorted(p[order].cumsum(), top_p) + 1]
    made = np.zeros_like(p)
    made[kept] = p[kept]
    return made / made.sum()


def fits(drawn: np.ndarray, expected: np.ndarray) -> float:
    """p-value of χ², rare tokens in groups of 5 or more expected; 0 where a token was drawn that never can be."""
    counts, draws = np.bincount(drawn, minlength=len(expected)), len(drawn)
    if counts[expected == 0].any():
        return 0.0
    observed, wanted = [0], [0.0]
    for token in np.argsort(expected)[::-1]:
        if wanted[-1] >= 5 and expected[token] > 0:
            observed.append(0)
            wanted.append(0.0)
        observed[-1] += counts[token]
        wanted[-1] += expected[token] * draws
    if wanted[-1] < 5:  # what is left goes to the group before
        observed[-2:], wanted[-2:] = [sum(observed[-2:])], [sum(wanted[-2:])]
    return float(chisquare(observed, np.array(wanted) / sum(wanted) * draws).pvalue)
