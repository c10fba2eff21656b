"""What a metric is: sufficient statistics a text, and one pure function of their sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class CellTexts:
    """What the metrics of one cell need, a row a text (R rows; several samples an example are allowed)."""

    texts: list[str]
    token_ids: list[list[int]]  # the generator's tokens
    model_logprobs: list[np.ndarray]  # the generator's log-probabilities, nats; empty for human texts
    example: np.ndarray  # (R,) row → example
    examples: int
    references: list[list[str]]  # a row's human references
    judge_nll: np.ndarray  # (R,) nats, summed over the text
    judge_tokens: np.ndarray  # (R,) tokens of the judge
    text_embeddings: np.ndarray  # (R, D) unit vectors
    source_embeddings: np.ndarray  # (R, D)
    reference_embeddings: np.ndarray  # (R, D), of the first reference
    routes: list[np.ndarray] = field(default_factory=list)  # which tokens were random; none: human texts
    judge_logprobs: list[np.ndarray] = field(default_factory=list)  # of the judge's tokens, nats
    human_nll: np.ndarray = field(default_factory=lambda: np.empty(0))  # (R,) of the example's human text
    human_tokens: np.ndarray = field(default_factory=lambda: np.empty(0))  # (R,)
    vocabulary: int = 0  # size of the generator's


@dataclass(frozen=True)
class Metric:
    """stats(texts): (R, k) float64 sufficient statistics; aggregate: sums (..., k) → values (...).

    An undefined value is NaN, never 0. Because a value depends on the sums alone, a bootstrap over
    examples is a re-sum.
    """

    name: str
    label: str
    higher_is_better: bool | None  # None: neither; nearer to the human value is better
    signature: str  # all that fixes the number; {judge}, {model}, {embedder}, {dtype} are filled in
    stats: Callable[[CellTexts], np.ndarray]
    aggregate: Callable[[np.ndarray], np.ndarray]


def ratio(sums: np.ndarray) -> np.ndarray:
    """(..., 2) → numerator / denominator; NaN where the denominator is 0."""
    numerator, denominator = sums[..., 0], sums[..., 1]
    defined = denominator > 0
    return np.where(defined, numerator / np.where(defined, denominator, 1), np.nan)


def columns(*values: object) -> np.ndarray:
    """Statistics side by side: (R, k) float64."""
    return np.stack([np.asarray(value, dtype=np.float64) for value in values], axis=1)
