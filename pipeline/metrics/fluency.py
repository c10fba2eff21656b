"""Perplexity: exp of nats a token. Nearer to the human value is better, lower is not: loops are lowest."""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import CellTexts, columns, ratio


def judge_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): the judge's negative log-likelihood (nats) and its tokens."""
    return columns(cell.judge_nll, cell.judge_tokens)


def byte_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): the judge's negative log-likelihood (nats) and the text's UTF-8 bytes.

    Judges with different tokenizers can be compared by it.
    """
    return columns(cell.judge_nll, [len(text.encode()) for text in cell.texts])


def gap_stats(cell: CellTexts) -> np.ndarray:
    """(R, 4): nats and tokens of the text, and of the human text of its example, under the judge."""
    return columns(cell.judge_nll, cell.judge_tokens, cell.human_nll, cell.human_tokens)


def gap(sums: np.ndarray) -> np.ndarray:
    """|log perplexity − log perplexity of the human texts|, nats a token: 0 is like people's.

    Loops are too predictable and noise is too surprising; both are far from it.
    """
    return np.abs(ratio(sums[..., :2]) - ratio(sums[..., 2:]))


def generator_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): the generator's own negative log-likelihood (nats), before any base decoder, and tokens.

    Human texts have none; their value is missing.
    """
    nll = [-values.astype(np.float64).sum() for values in cell.model_logprobs]
    return columns(nll, [len(values) for values in cell.model_logprobs])


def perplexity(sums: np.ndarray) -> np.ndarray:
    return np.exp(ratio(sums))
