"""Cosine similarity of sentence embeddings (Reimers & Gurevych 2019)."""

from __future__ import annotations

import numpy as np

from pipeline.metrics.base import CellTexts, columns


def cosine_stats(cell: CellTexts, others: np.ndarray) -> np.ndarray:
    """(R, 2): cosine with the other's unit vector, and 1; (0, 0) for an empty text, which has no
    meaning to compare: the metric `empty` shows their share.
    """
    there = np.array([bool(text.strip()) for text in cell.texts], dtype=np.float64)
    cosine = (cell.text_embeddings.astype(np.float64) * others.astype(np.float64)).sum(1)
    return columns(cosine * there, there)


def context_stats(cell: CellTexts) -> np.ndarray:
    return cosine_stats(cell, cell.source_embeddings)


def reference_stats(cell: CellTexts) -> np.ndarray:
    return cosine_stats(cell, cell.reference_embeddings)
