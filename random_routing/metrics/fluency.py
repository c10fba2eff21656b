"""Perplexity: exp of nats per token. Nearer to the human value is better, lower is not: loops are lowest."""

from __future__ import annotations

import numpy as np

from random_routing.metrics.metric import CellTexts, Metric, columns, ratio

# Context and text are tokenized apart, and no token ends the text.
JUDGE = (
    "{given}, tokenized apart|opening:{opening}|end token:no|pooled over texts|judge:{judge}|dtype:{dtype}"
)
NO_TOKENS = "the judge scores no token"


def judge_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): the judge's negative log-likelihood (nats) and its tokens."""
    return columns(cell.judge_nll, cell.judge_tokens)


def byte_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): the judge's negative log-likelihood (nats) and the UTF-8 bytes that it scores: none of a text that
    has no token for it.

    Judges with different tokenizers can be compared by it.
    """
    size = np.array([len(text.encode()) for text in cell.texts])
    if len(cell.judge_unread):
        size = size - cell.judge_unread
    return columns(cell.judge_nll, np.where(cell.judge_tokens > 0, size, 0))


def gap_stats(cell: CellTexts) -> np.ndarray:
    """(R, 4): nats and tokens of the text, and of the human text of its example, under the judge."""
    return columns(cell.judge_nll, cell.judge_tokens, cell.human_nll, cell.human_tokens)


def gap(sums: np.ndarray) -> np.ndarray:
    """|log perplexity − log perplexity of the human texts|, nats per token: 0 is as people write.

    Loops are too predictable and noise is too surprising; both are far from it.
    """
    return np.abs(signed_gap(sums))


def signed_gap(sums: np.ndarray) -> np.ndarray:
    """log perplexity − log perplexity of the human texts, nats per token: loops are below 0, noise is above."""
    return ratio(sums[..., :2]) - ratio(sums[..., 2:])


def generator_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): the generator's own negative log-likelihood (nats), before any base decoder, and tokens.

    Human texts have none; their value is missing.
    """
    nll = [-values.astype(np.float64).sum() for values in cell.model_logprobs]
    return columns(nll, [len(values) for values in cell.model_logprobs])


def perplexity(sums: np.ndarray) -> np.ndarray:
    return np.exp(ratio(sums))


METRICS = (
    Metric(
        name="perplexity",
        label="perplexity under the judge",
        axis="judge perplexity (per token)",
        unit="exp of nats per judge token",
        role="fluency",
        better="nearer to human",
        source="Jelinek et al. 1977",
        signature=JUDGE,
        stats=judge_stats,
        aggregate=perplexity,
        undefined=NO_TOKENS,
        log_axis=True,
    ),
    Metric(
        name="nats_per_byte",
        label="cross-entropy under the judge",
        axis="judge's nats per byte",
        unit="nats per UTF-8 byte",
        role="fluency",
        better="nearer to human",
        source="Gao et al. 2020",
        signature=f"bytes:of the text without what joins it to its context|{JUDGE}",
        stats=byte_stats,
        aggregate=ratio,
        undefined=NO_TOKENS,
    ),
    Metric(
        name="fluency_gap",
        label="fluency gap: distance of log perplexity from that of the human texts",
        axis="fluency gap to human (nats / token)",
        unit="nats per judge token",
        role="quality",
        coordinate="quality",
        better="lower",
        source="after Holtzman et al. 2020",
        signature=JUDGE,
        stats=gap_stats,
        aggregate=gap,
        signed=signed_gap,
        undefined=NO_TOKENS,
        against_human=True,
        short="gap",
    ),
    Metric(
        name="generator_perplexity",
        label="perplexity under the generator itself",
        axis="generator perplexity (per token)",
        unit="exp of nats per generator token",
        role="fluency",
        better="",
        source="Jelinek et al. 1977",
        signature="before any base decoder|end token:yes|pooled over texts|model:{model}|dtype:{dtype}",
        stats=generator_stats,
        aggregate=perplexity,
        undefined="the generator's probabilities of these texts are not known",
        log_axis=True,
    ),
)
