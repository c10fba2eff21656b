"""Rows of a model call once more along random paths, beside the cache of the model's own path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from random_routing.models.cache import CrossCache, SlotCache
from random_routing.models.network import LanguageModel
from random_routing.models.paths import Parts, along, choices
from random_routing.settings import Route


@dataclass
class Walker:
    """Copies rows into spare slots of the cache and runs their last token anew there.

    The slots [first, first + capacity) hold nothing else, so the rows themselves stay as they are.
    rows: how many were run so far.
    """

    model: LanguageModel
    parts: Parts
    cache: SlotCache | CrossCache
    first: int
    capacity: int
    rows: int = 0

    def call(self, fed: Tensor, padding: Tensor, start: int, step: int) -> Walk:
        """For the model call that fed `fed` (rows, T) with `padding` (rows, P); its rows begin at slot `start`."""
        return Walk(self, fed, padding, start, step)


@dataclass
class Walk:
    """One model call's rows, ready to be run again."""

    walker: Walker
    fed: Tensor
    padding: Tensor
    start: int
    step: int

    @property
    def capacity(self) -> int:
        return self.walker.capacity

    def width(self, route: Route) -> int:
        return self.walker.parts.width(route)

    def __call__(self, row: np.ndarray, route: Route, u: np.ndarray) -> Tensor:
        """Logits (N, V) of row[i], counted from the call's first, along the path that u[i] draws.

        row: (N,) with N at most `capacity`; u: (N, width) in [0, 1).
        """
        walker, count = self.walker, len(row)
        path = choices(walker.parts, route, u)
        width = walker.capacity if walker.model.static else max(count, 2)  # never a single row
        pick = np.concatenate([row, np.repeat(row[:1], width - count)])
        path = np.concatenate([path, np.repeat(path[:1], width - count, axis=0)])
        source = [self.start + int(i) for i in pick]
        slots = range(walker.first, walker.first + width)
        walker.cache.fork(source, slots, self.step)
        walker.cache.cover(walker.first, walker.first + width, self.step, again=True)
        rows = torch.from_numpy(pick) + self.start
        with along(walker.parts, route, path):
            logits = walker.model.again(self.fed[rows], self.padding[rows], self.step, walker.cache)
        walker.rows += count
        return logits[:count]
