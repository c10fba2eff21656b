"""What can be said of each text by itself."""

from __future__ import annotations

import numpy as np

from random_routing.metrics.helpers.jackknife import unique
from random_routing.metrics.helpers.ragged import as_ragged
from random_routing.metrics.metric import CellTexts, Metric, columns, ratio
from random_routing.models.tokens import BROKEN

THINKING = ("<think>", "</think>")  # some chat templates write the first for the model


def length_stats(cell: CellTexts) -> np.ndarray:
    return columns(as_ragged(cell.written_ids).lengths, [1] * len(cell.texts))


def empty_stats(cell: CellTexts) -> np.ndarray:
    return columns([not text.strip() for text in cell.texts], [1] * len(cell.texts))


def broken_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): replacement characters (U+FFFD), and characters."""
    return columns([text.count(BROKEN) for text in cell.texts], [len(text) for text in cell.texts])


def thinking_stats(cell: CellTexts) -> np.ndarray:
    return columns([any(mark in text for mark in THINKING) for text in cell.texts], [1] * len(cell.texts))


def distinct_texts_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): the text's part of the number of different texts (`jackknife.unique`), and 1."""
    known: dict[str, int] = {}
    numbers = np.array([known.setdefault(text.strip(), len(known)) for text in cell.texts], dtype=np.int64)
    ones = np.ones(len(numbers), dtype=np.int64)
    return columns(unique(numbers, max(1, len(known)), ones, cell.example), ones)


METRICS = (
    Metric(
        name="length",
        label="length of a text",
        axis="tokens of a text",
        unit="generator tokens",
        role="length",
        better="nearer to human",
        source="a count",
        signature="tok:generator|end token:no|mean over texts",
        stats=length_stats,
        aggregate=ratio,
    ),
    Metric(
        name="empty",
        label="empty texts",
        axis="empty / all texts",
        unit="share, 0 to 1",
        role="failures",
        better="lower",
        source="a count",
        signature="white space only",
        stats=empty_stats,
        aggregate=ratio,
    ),
    Metric(
        name="broken",
        label="characters that are broken bytes",
        axis="broken / all characters",
        unit="share, 0 to 1",
        role="failures",
        better="lower",
        source="a count",
        signature="U+FFFD / all characters",
        stats=broken_stats,
        aggregate=ratio,
        undefined="every text is empty",
    ),
    Metric(
        name="thinking",
        label="texts with a thinking mark",
        axis="texts with thinking / all texts",
        unit="share, 0 to 1",
        role="failures",
        better="lower",
        source="a count",
        signature=" or ".join(THINKING),
        stats=thinking_stats,
        aggregate=ratio,
    ),
    Metric(
        name="distinct_texts",
        label="different texts / all texts",
        axis="different / all texts",
        unit="share, 0 to 1",
        role="diversity",
        better="nearer to human",
        source="a count",
        signature="scope:cell|white space at the ends stripped",
        stats=distinct_texts_stats,
        aggregate=ratio,
        over_all=True,
    ),
)
