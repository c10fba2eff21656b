"""Vendi score: the effective number of different texts."""

from __future__ import annotations

import numpy as np

from random_routing.metrics.metric import CellTexts, Metric, columns, ratio
from random_routing.metrics.relevance import COSINE
from random_routing.settings.tasks import TEXT_KINDS

EXAMPLES = 100  # it can reach the number of texts, so few texts say little


def vendi_stats(cell: CellTexts) -> np.ndarray:
    """log Vendi score (Friedman & Dieng 2023): −Σ λ·log λ over the eigenvalues λ of K/n, with K
    the cosines of the texts' embeddings.

    K/n has the eigenvalues of the embeddings' covariance C = XᵀX/n, (D, D), whose entropy −tr(C·log C) is the
    mean over texts of −xᵀ·log(C)·x. Returns (R, 2): that, and 1. The derivative of the entropy in the direction
    of a text is the same but for a constant, so resampled sums are right to first order.
    """
    x = cell.text_embeddings.astype(np.float64)  # (R, D) unit vectors
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    present = values > 1e-12  # a text has no part in the directions of the others
    along = (x @ vectors[:, present]) ** 2  # (R, directions)
    return columns(-along @ np.log(values[present]), np.ones(len(x)))


def vendi(sums: np.ndarray) -> np.ndarray:
    return np.exp(ratio(sums))


METRICS = (
    Metric(
        name="vendi",
        label="Vendi score: effective number of different texts",
        axis="Vendi score (effective number of texts)",
        unit="texts",
        role="diversity",
        coordinate="diversity",
        kinds=(*TEXT_KINDS, "images"),
        better="nearer to human",
        source="Friedman & Dieng 2023",
        signature=f"q:1|empty texts:as equal ones|kernel:{COSINE}",
        stats=vendi_stats,
        aggregate=vendi,
        minimum_examples=EXAMPLES,
        over_all=True,
    ),
)
