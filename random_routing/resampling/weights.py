"""The weights of a bootstrap: how often each example is drawn in each resample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

MOST = 2**25  # weights in memory: 256 MiB
BLOCK = 2**23  # weights of the resamples that are drawn at once: 64 MiB


def resample_weights(examples: int, resamples: int, seed: int) -> np.ndarray:
    """How often each example is drawn in each resample: (B, E) float64, rows sum to E. Those of `Drawn`, in memory."""
    return Drawn(examples, resamples, seed).rows(0, resamples).astype(np.float64)


class Drawn:
    """Weights (B, E) that may be too many for memory: each product draws them again, some resamples at a time.

    Every resample has a generator of its own (key: seed and its number), and counts E uniform draws. chosen: the
    examples that the columns are, (N,).
    """

    def __init__(
        self, examples: int, resamples: int, seed: int, chosen: Sequence[int] | np.ndarray | None = None
    ) -> None:
        self.examples, self.resamples, self.seed = examples, resamples, seed
        self.chosen = None if chosen is None else np.asarray(chosen)

    @property
    def shape(self) -> tuple[int, int]:
        return self.resamples, self.examples if self.chosen is None else len(self.chosen)

    def __len__(self) -> int:
        return self.resamples

    def __getitem__(self, index: tuple[slice, Any]) -> Drawn:
        """weights[:, examples], as of an array."""
        rows, columns = index
        if rows != slice(None):
            raise TypeError("only whole columns of weights can be chosen")
        chosen = np.arange(self.examples) if self.chosen is None else self.chosen
        return Drawn(self.examples, self.resamples, self.seed, chosen[columns])

    def rows(self, first: int, stop: int) -> np.ndarray:
        """(b, N) int64: the weights of some resamples. One generator takes the keys of all, which is faster."""
        bits = np.random.Philox(key=np.array([self.seed, 0], dtype=np.uint64))
        generator, state = np.random.Generator(bits), bits.state
        rows = np.empty((stop - first, self.shape[1]), dtype=np.int64)
        for row, number in zip(rows, range(first, stop), strict=True):
            state["state"]["key"][1] = number
            bits.state = state  # as if made with this key
            drawn = generator.integers(0, self.examples, self.examples, dtype=np.int32)
            counts = np.bincount(drawn, minlength=self.examples)
            row[:] = counts if self.chosen is None else counts[self.chosen]
        return rows

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Some resamples, and their weights (b, E) float64."""
        step = max(1, BLOCK // self.examples)
        for start in range(0, self.resamples, step):
            stop = min(start + step, self.resamples)
            yield slice(start, stop), self.rows(start, stop).astype(np.float64)

    def __matmul__(self, stats: np.ndarray) -> np.ndarray:
        """(B, E) @ (E, k)."""
        return np.concatenate([weights @ stats for _, weights in self.blocks()])


Weights = np.ndarray | Drawn


def weights_of(examples: int, resamples: int, seed: int) -> Weights:
    """An array, or a `Drawn` where it would be large."""
    if examples * resamples > MOST:
        return Drawn(examples, resamples, seed)
    return resample_weights(examples, resamples, seed)


def blocks_of(weights: Weights) -> Iterator[tuple[slice, np.ndarray]]:
    """Some resamples at a time, and their weights (b, E)."""
    if isinstance(weights, np.ndarray):
        return iter([(slice(0, len(weights)), weights)])
    return weights.blocks()
