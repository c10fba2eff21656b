"""Rows of different lengths in one array: a million texts are two arrays, not millions of objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa


@dataclass(frozen=True, eq=False)
class Ragged(Sequence[np.ndarray]):
    """values: (N,), row after row; edges: (R + 1,) int64, row i is values[edges[i] : edges[i + 1]]."""

    values: np.ndarray
    edges: np.ndarray

    def __len__(self) -> int:
        return len(self.edges) - 1

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            raise TypeError("rows are taken one by one, or by `take`")
        row = range(len(self))[row]
        return self.values[self.edges[row] : self.edges[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """(R,) int64."""
        return np.diff(self.edges)

    def take(self, rows: np.ndarray) -> Ragged:
        """The rows of these numbers, in their order."""
        return concatenated([self[row] for row in rows.tolist()], self.values.dtype)

    def shortened(self, by: np.ndarray) -> Ragged:
        """Each row without its last `by` (R,) values."""
        kept = self.lengths - by
        offset = np.arange(len(self.values)) - np.repeat(self.edges[:-1], self.lengths)
        return Ragged(self.values[offset < np.repeat(kept, self.lengths)], _edges(kept))


def _edges(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def concatenated(rows: Sequence[Any], dtype: Any) -> Ragged:
    """Rows, sequences of numbers, as one."""
    arrays = [np.asarray(row, dtype=dtype) for row in rows]
    values = np.concatenate(arrays) if arrays else np.empty(0, dtype)
    return Ragged(values, _edges(np.array([len(row) for row in arrays], dtype=np.int64)))


def as_ragged(rows: Sequence[Any]) -> Ragged:
    """Rows of whole numbers below 2³¹."""
    return rows if isinstance(rows, Ragged) else concatenated(rows, np.int32)


def from_lists(columns: Iterable[pa.ListArray]) -> Ragged:
    """A column of lists without nulls, in pieces."""
    values, lengths = [], [np.empty(0, np.int64)]
    for column in columns:
        values.append(column.flatten().to_numpy(zero_copy_only=False))
        lengths.append(column.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64))
    return Ragged(
        np.concatenate(values) if values else np.empty(0, np.int32), _edges(np.concatenate(lengths))
    )


def equal(rows: Sequence[Any], others: Sequence[Any]) -> bool:
    """Are all rows the same?"""
    if isinstance(rows, Ragged) and isinstance(others, Ragged):
        return np.array_equal(rows.edges, others.edges) and np.array_equal(rows.values, others.values)
    return len(rows) == len(others) and all(np.array_equal(a, b) for a, b in zip(rows, others, strict=True))
