"""Cosine similarity of sentence embeddings (Reimers & Gurevych 2019)."""

from __future__ import annotations

import numpy as np

from random_routing.metrics.metric import CellTexts, Metric, columns, ratio

COSINE = "cosine of unit vectors|embedder:{embedder}|{pooling}"
COSINE_UNIT = "cosine, -1 to 1"
SOURCE = "Reimers & Gurevych 2019"
LEFT_OUT = "|empty texts:left out, see empty"
FIRST = "|to:first reference"
EMPTY = "every text is empty"


def cosine_stats(cell: CellTexts, others: np.ndarray) -> np.ndarray:
    """(R, 2): cosine with the other's unit vector, and 1; (0, 0) for an empty text, which has no
    meaning to compare: the metric `empty` shows their share.
    """
    has_words = np.array([bool(text.strip()) for text in cell.texts], dtype=np.float64)
    cosine = (cell.text_embeddings.astype(np.float64) * others.astype(np.float64)).sum(1)
    return columns(cosine * has_words, has_words)


def context_stats(cell: CellTexts) -> np.ndarray:
    return cosine_stats(cell, cell.source_embeddings)


def reference_stats(cell: CellTexts) -> np.ndarray:
    return cosine_stats(cell, cell.reference_embeddings)


METRICS = (
    Metric(
        name="context_similarity",
        label="similarity to the context",
        axis="similarity to context (cosine)",
        unit=COSINE_UNIT,
        role="relevance",
        coordinate="quality",
        kinds=("textgen", "dialogue"),
        better="higher",
        source=SOURCE,
        signature=COSINE + LEFT_OUT,
        stats=context_stats,
        aggregate=ratio,
        undefined=EMPTY,
        short="sim",
    ),
    Metric(
        name="reference_similarity",
        label="similarity to the human text",
        axis="similarity to reference (cosine)",
        unit=COSINE_UNIT,
        role="quality",
        coordinate="quality",
        better="higher",
        source=SOURCE,
        signature=COSINE + FIRST + LEFT_OUT,
        stats=reference_stats,
        aggregate=ratio,
        undefined=EMPTY,
        against_human=True,
        short="sim",
    ),
)
