"""Rows of a model call once more along random paths, beside the cache of the model's own path."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from random_routing.decode.slots import Slots
from random_routing.models.random_paths import Parts, Path, choices
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

    def __call__(self, row: Tensor, route: Route, u: Tensor) -> Tensor:
        """Logits (N, V) of row[i] along the path that u[i] draws.

        row: (N,), not more than there are spare slots; u: (N, width) in [0, 1).
        """
        slots, count = self.slots, len(row)
        began = slots.model.moment()
        path = choices(self.parts, route, u)
        source = self.start + row
        if count < slots.fewest:
            source, path = (x.expand(slots.fewest, *x.shape[1:]) for x in (source, path))
        target = slots.spare[: len(source)]
        slots.cache.copy(source, target, self.step)
        slots.cache.cover(target.start, target.stop, self.step, again=True)
        along = Path(self.parts, route, path)
        logits = slots.model.again(slots.fed[source], slots.padding[source], self.step, slots.cache, along)
        slots.walked += count
        slots.walks.append((began, slots.model.moment()))
        return logits[:count]
