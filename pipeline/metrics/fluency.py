"""Perplexity: exp of nats a token. Nearer to the human value is better, lower is not: loops are lowest."""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import CellTexts, columns, ratio


def judge_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): the judge's negative log-likelihood (nats) and its tokens."""
    return columns(cell.judge_nll, cell.judge_tokens)


def generator_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): the generator's own negative log-likelihood (nats), before any base decoder, and tokens.

    Human texts have none; their value is missing.
    """
    nll = [-values.astype(np.float64).sum() for values in cell.model_logprobs]
    return columns(nll, [len(values) for values in cell.model_logprobs])


def perplexity(sums: np.ndarray) -> np.ndarray:
    return np.exp(ratio(sums))
