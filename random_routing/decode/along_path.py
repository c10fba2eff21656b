"""Rows of a model call once more along random paths, beside the cache of the model's own path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.slots import Slots
from random_routing.models.random_paths import Parts, along, choices
from random_routing.settings import Route


@dataclass(frozen=True)
class Walk:
    """The rows of the model call that began at slot `start`, ready to be run again.

    Prefixes are copied into the spare slots and their last token is run there, so they stay as they are.
    """

    slots: Slots
    parts: Parts
    start: int
    step: int

    def __call__(self, row: np.ndarray, route: Route, u: np.ndarray) -> Tensor:
        """Logits (N, V) of row[i] along the path that u[i] draws.

        row: (N,), not more than there are spare slots; u: (N, width) in [0, 1).
        """
        slots, model, count = self.slots, self.slots.model, len(row)
        path = choices(self.parts, route, u)
        width = len(slots.spare) if model.static else max(count, 2)  # never a single row
        row = np.concatenate([row, np.repeat(row[:1], width - count)])
        path = np.concatenate([path, np.repeat(path[:1], width - count, axis=0)])
        source, target = torch.from_numpy(self.start + row), slots.spare[:width]
        slots.cache.fork(source.tolist(), target, self.step)
        slots.cache.cover(target.start, target.stop, self.step, again=True)
        with along(self.parts, route, path):
            logits = model.again(slots.fed[source], slots.padding[source], self.step, slots.cache)
        slots.walked += count
        return logits[:count]
