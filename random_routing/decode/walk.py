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
    """Copies prefixes into spare slots of the cache and runs their last token again there.

    The slots [first, first + capacity) hold nothing else, so the prefixes themselves stay as they are.
    rows: how many were run so far.
    """

    model: LanguageModel
    parts: Parts
    cache: SlotCache | CrossCache
    first: int
    capacity: int
    rows: int = 0


@dataclass
class Walk:
    """The rows of one model call, ready to be run again.

    fed, padding: what the slots read at this step, (slots, T) and (slots, P); start: the slot of the call's first row.
    """

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
        """Logits (N, V) of row[i] along the path that u[i] draws.

        row: (N,) with N at most `capacity`; u: (N, width) in [0, 1).
        """
        walker, count = self.walker, len(row)
        path = choices(walker.parts, route, u)
        width = walker.capacity if walker.model.static else max(count, 2)  # never a single row
        copies = width - count
        slots = self.start + np.concatenate([row, np.repeat(row[:1], copies)])
        path = np.concatenate([path, np.repeat(path[:1], copies, axis=0)])
        walker.cache.fork(slots.tolist(), range(walker.first, walker.first + width), self.step)
        walker.cache.cover(walker.first, walker.first + width, self.step, again=True)
        pick = torch.from_numpy(slots)
        with along(walker.parts, route, path):
            logits = walker.model.again(self.fed[pick], self.padding[pick], self.step, walker.cache)
        walker.rows += count
        return logits[:count]
