"""A key/value cache in place: rows are slots, a fork copies one slot, nothing is concatenated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin, EncoderDecoderCache

# Keys and values of one row: layer → a pair, each (heads, length, head size). Layers that read another layer's
# keys and values (Gemma 3n's last ones) have none.
RowStates = dict[int, tuple[Tensor, Tensor]]


class SlotLayer(CacheLayerMixin):
    """One layer's keys and values, (slots, heads, length, head size), filled from the left.

    `keys` and `values` are what the current model call sees: the slots that it covers. With `static`
    it sees all positions (the mask hides those not yet written), so that shapes never change.
    """

    is_sliding = False  # keeps all positions; a sliding window is applied by the model's mask

    def __init__(self, slots: int, max_length: int, static: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots, self.max_length, self.static = slots, max_length, static
        self.window = slice(0, slots)
        self.length = 0  # positions filled before the current model call

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        def room(states: Tensor) -> Tensor:
            shape = (self.slots, states.shape[1], self.max_length, states.shape[3])
            # Positions are read only after they were written, except with `static`.
            return states.new_zeros(shape) if self.static else states.new_empty(shape)

        self.all_keys, self.all_values = room(key_states), room(value_states)
        self.is_initialized = True

    def cover(self, window: slice, length: int) -> None:
        """Point the next model call at the slots `window` with `length` positions filled."""
        self.window, self.length = window, length

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        self.all_keys[self.window, :, self.length : end] = key_states
        self.all_values[self.window, :, self.length : end] = value_states
        seen = self.max_length if self.static else end
        self.keys, self.values = (
            self.all_keys[self.window, :, :seen],
            self.all_values[self.window, :, :seen],
        )
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return (self.max_length if self.static else self.length + query_length), 0

    def get_seq_length(self) -> int:
        return self.length

    def get_max_length(self) -> int:
        return self.max_length

    def copy(self, source: Tensor, target: Tensor, length: int) -> None:
        """Copy `length` positions of the slots `source` over the slots `target` (disjoint)."""
        for states in (self.all_keys, self.all_values):
            states[target, :, :length] = states[source, :, :length]

    def row(self, slot: int, length: int) -> tuple[Tensor, Tensor]:
        return self.all_keys[slot, :, :length].clone(), self.all_values[slot, :, :length].clone()

    def fill(self, states: tuple[Tensor, Tensor], slots: int) -> None:
        """Write one row's first positions into the first `slots` slots."""
        keys, values = states
        if not self.is_initialized:
            self.lazy_initialization(keys[None], values[None])
        self.all_keys[:slots, :, : keys.shape[1]] = keys
        self.all_values[:slots, :, : values.shape[1]] = values


class CrossLayer(SlotLayer):
    """Keys and values of the encoder's states: written once, then only read."""

    def cover(self, window: slice, length: int) -> None:
        super().cover(window, 0)
        if self.is_initialized:
            self.keys, self.values = self.all_keys[window], self.all_values[window]


class SlotCache(Cache):
    """Cache of `slots` rows: `prompt_length` positions are filled by the first call, then one a step.

    The first `prefix_length` of them hold a prefix that all prompts share (see `fill`).
    """

    def __init__(
        self,
        layers: int,
        slots: int,
        prompt_length: int,
        steps: int,
        prefix_length: int = 0,
        static: bool = False,
    ) -> None:
        self.prompt_length, self.prefix_length, self.static = prompt_length, prefix_length, static
        self.slots, self.max_length = slots, prompt_length + steps
        self.slot_layers = [SlotLayer(slots, self.max_length, static) for _ in range(layers)]
        super().__init__(layers=list(self.slot_layers))

    def cover(self, start: int, stop: int, step: int, again: bool = False) -> None:
        """Point the call that yields token `step` at the slots [start, stop).

        again: for a second call that feeds the last token alone, with all before it in the cache.
        """
        first = step == 0 and not again
        filled = self.prefix_length if first else self.prompt_length + step - 1
        for layer in self.slot_layers:
            layer.cover(slice(start, stop), filled)

    def fork(self, source: Sequence[int], target: Sequence[int], step: int) -> None:
        """After token `step`: target[i] becomes a copy of source[i]. No target may be a source."""
        if not target:
            return
        own = self.own_layers
        device = own[0].all_keys.device
        from_slots, to_slots = (torch.tensor(list(slots), device=device) for slots in (source, target))
        for layer in own:
            layer.copy(from_slots, to_slots, self.prompt_length + step)

    @property
    def own_layers(self) -> list[SlotLayer]:
        """Those that a model call has written to, which are all but those that read another layer's."""
        return [layer for layer in self.slot_layers if layer.is_initialized]

    def fill(self, states: RowStates, slots: int) -> None:
        """Write the shared prefix into the first `slots` slots."""
        for number, pair in states.items():
            self.slot_layers[number].fill(pair, slots)

    def row(self, slot: int, length: int) -> RowStates:
        """A copy of the first `length` positions of a slot."""
        layers = enumerate(self.slot_layers)
        return {number: layer.row(slot, length) for number, layer in layers if layer.is_initialized}


class CrossCache(EncoderDecoderCache):
    """A decoder's own cache beside the keys and values of its encoder's states, (slots, …, source)."""

    def __init__(self, own: SlotCache, source_length: int) -> None:
        self.own = own
        self.cross_layers = [CrossLayer(own.slots, source_length) for _ in own.slot_layers]
        super().__init__(own, Cache(layers=list(self.cross_layers)))

    def cover(self, start: int, stop: int, step: int, again: bool = False) -> None:
        self.own.cover(start, stop, step, again)
        for number, layer in enumerate(self.cross_layers):
            layer.cover(slice(start, stop), 0)
            self.is_updated[number] = step > 0 or again

    def fork(self, source: Sequence[int], target: Sequence[int], step: int) -> None:
        self.own.fork(source, target, step)
        if target:
            from_slots, to_slots = torch.tensor(list(source)), torch.tensor(list(target))
            for layer in self.cross_layers:
                layer.copy(from_slots, to_slots, layer.max_length)
