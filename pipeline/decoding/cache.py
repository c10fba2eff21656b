"""A key/value cache in place: rows are slots, a fork copies one slot, nothing is concatenated."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class SlotLayer(CacheLayerMixin):
    """One layer's keys and values, (slots, heads, length, head size), filled from the left."""

    is_sliding = False  # keeps all positions; a sliding window is applied by the model's mask

    def __init__(self, slots: int, max_length: int) -> None:
        super().__init__()
        self.slots, self.max_length = slots, max_length
        self.window = slice(0, slots)  # the slots that the current model call covers
        self.length = 0  # positions filled before the current model call

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        def room(states: Tensor) -> Tensor:
            return states.new_zeros(self.slots, states.shape[1], self.max_length, states.shape[3])

        self.keys, self.values = room(key_states), room(value_states)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        end = self.length + key_states.shape[2]
        self.keys[self.window, :, self.length : end] = key_states
        self.values[self.window, :, self.length : end] = value_states
        return self.keys[self.window, :, :end], self.values[self.window, :, :end]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        return self.length

    def get_max_length(self) -> int:
        return self.max_length

    def copy(self, source: Tensor, target: Tensor) -> None:
        """Copy the filled positions of the slots `source` over the slots `target` (disjoint)."""
        for states in (self.keys, self.values):
            assert states is not None
            states[target, :, : self.length] = states[source, :, : self.length]


class SlotCache(Cache):
    """Cache of `slots` rows and `max_length` positions for a decoder of `layers` layers."""

    def __init__(self, layers: int, slots: int, max_length: int) -> None:
        self.slot_layers = [SlotLayer(slots, max_length) for _ in range(layers)]
        super().__init__(layers=list(self.slot_layers))

    def cover(self, start: int, stop: int, length: int) -> None:
        """Point the next model call at slots [start, stop) with `length` positions filled."""
        for layer in self.slot_layers:
            layer.window, layer.length = slice(start, stop), length

    def fork(self, source: list[int], target: list[int], length: int) -> None:
        """Copy slots: target[i] becomes a copy of source[i]. No target may be a source."""
        if not target:
            return
        self.cover(0, 0, length)
        from_slots, to_slots = torch.tensor(source), torch.tensor(target)
        for layer in self.slot_layers:
            layer.copy(from_slots, to_slots)
