"""Compression ratio: texts that repeat each other take fewer bytes together."""

from __future__ import annotations

import gzip
import zlib

import numpy as np

from random_routing.metrics.helpers.jackknife import centred
from random_routing.metrics.metric import CellTexts, Metric, columns, ratio

LEVEL, WINDOW = 9, 32768


def compression_stats(cell: CellTexts) -> np.ndarray:
    """Compression ratio (Shaib et al. 2024): UTF-8 bytes / bytes after gzip, of all texts together.

    Texts are sorted, so that their order does not matter, and each ends in a newline. Returns (R, 2): the
    text's bytes, and its part of the compressed bytes, C/E + (I − mean I): I is what the example costs
    when texts near it are known, about what is saved by leaving it out.
    """
    encoded = [text.encode() + b"\n" for text in cell.texts]
    turn = cell.order if len(cell.order) else np.arange(len(encoded))  # of equal texts
    place = sorted(range(len(encoded)), key=lambda row: (encoded[row], turn[row]))
    whole = len(gzip.compress(b"".join(encoded[row] for row in place), LEVEL, mtime=0))
    names, first, number = np.unique(cell.example, return_index=True, return_inverse=True)
    cost = np.zeros(len(names))
    for position, row in enumerate(place):
        known = _near(position, place, encoded, number)
        squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=known)
        cost[number[row]] += len(squeeze.compress(encoded[row]) + squeeze.flush())
    return columns([len(text) for text in encoded], centred(whole, cost.tolist(), first, len(encoded)))


def _near(position: int, place: list[int], encoded: list[bytes], number: np.ndarray) -> bytes:
    """Other examples' texts around one in sorted order, as many as a window of gzip holds."""
    example = number[place[position]]
    near: list[bytes] = []
    for steps in (range(position - 1, -1, -1), range(position + 1, len(place))):
        room = WINDOW // 2
        for other in steps:
            if number[place[other]] == example:
                continue
            near.append(encoded[place[other]])
            room -= len(near[-1])
            if room <= 0:
                break
    return b"".join(near)[-WINDOW:]


METRICS = (
    Metric(
        name="compression_ratio",
        label="compression ratio: bytes / gzip's bytes",
        axis="compression ratio",
        unit="ratio",
        role="sameness",
        coordinate="diversity",
        better="lower",
        source="Shaib et al. 2024",
        signature=f"gzip once|level:{LEVEL}|zlib:{zlib.ZLIB_RUNTIME_VERSION}|texts sorted, newline after each",
        stats=compression_stats,
        aggregate=ratio,
        over_all=True,
    ),
)
