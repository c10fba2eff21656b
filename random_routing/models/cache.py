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

    `keys` and `values` are what the current model call sees: the slots that it covers, before it those that are filled.
    multiple: what it sees ends at a multiple of it, with zeros, and lies side by side; it is laid out anew when it
    grows. 1 for what is filled and no more, wherever it lies.
    """

    is_sliding = False  # keeps all positions; a sliding window is applied by the model's mask

    def __init__(self, slots: int, max_length: int, multiple: int = 1) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots, self.max_length, self.multiple = slots, max_length, multiple
        self.window = slice(0, slots)
        self.length = 0  # positions filled before the current model call
        self.used = 0  # with a multiple: the first slots, which have been written to; no memory of others is touched

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        length = self.max_length if self.multiple == 1 else 0
        self.all_keys, self.all_values = (
            states.new_empty(self.slots, states.shape[1], length, states.shape[3])
            for states in (key_states, value_states)
        )
        self.is_initialized = True

    def _seen(self, end: int) -> int:
        """The positions that a call sees which fills them up to `end`."""
        return -(-end // self.multiple) * self.multiple

    def _make_room(self, slots: int, end: int) -> None:
        """For `end` positions of the first slots, with zeros where nothing has been written that is seen."""
        used, self.used = self.used, max(self.used, slots)
        if self.multiple == 1:
            return
        before, seen = self.all_keys.shape[2], max(self._seen(end), self.all_keys.shape[2])
        for name in ("all_keys", "all_values"):
            old = getattr(self, name)
            new = old if seen == before else old.new_empty(*old.shape[:2], seen, old.shape[3])
            if new is not old:
                new[:used, :, :before], new[:used, :, before:] = old[:used], 0
            new[used : self.used] = 0
            setattr(self, name, new)

    def cover(self, window: slice, length: int) -> None:
        """Point the next model call at the slots `window` with `length` positions filled."""
        self.window, self.length = window, length
        if self.is_initialized:
            self.keys, self.values = (
                states[window, :, :length] for states in (self.all_keys, self.all_values)
            )

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        self._make_room(self.window.stop, end)
        self.all_keys[self.window, :, self.length : end] = key_states
        self.all_values[self.window, :, self.length : end] = value_states
        self.keys, self.values = (
            states[self.window, :, : self._seen(end)] for states in (self.all_keys, self.all_values)
        )
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._seen(self.length + query_length), 0

    def get_seq_length(self) -> int:
        return self.length

    def get_max_length(self) -> int:
        return self.max_length

    def copy(self, source: Tensor, target: Tensor, length: int) -> None:
        """Copy `length` positions of the slots `source` over the slots `target` (disjoint)."""
        if self.multiple > 1:
            self._make_room(int(target.max()) + 1, length)
        for states in (self.all_keys, self.all_values):
            states[target, :, :length] = states[source, :, :length]

    def row(self, slot: int, length: int) -> tuple[Tensor, Tensor]:
        return self.all_keys[slot, :, :length].clone(), self.all_values[slot, :, :length].clone()

    def fill(self, states: tuple[Tensor, Tensor], slots: int) -> None:
        """Write one row's first positions into the first `slots` slots."""
        keys, values = states
        if not self.is_initialized:
            self.lazy_initialization(keys[None], values[None])
        self._make_room(slots, keys.shape[1])
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

    The first `prefix_length` of them hold a prefix that all prompts share (see `fill`). multiple: of `SlotLayer`.
    """

    def __init__(
        self,
        layers: int,
        slots: int,
        prompt_length: int,
        steps: int,
        prefix_length: int = 0,
        multiple: int = 1,
    ) -> None:
        self.prompt_length, self.prefix_length = prompt_length, prefix_length
        self.slots, self.max_length = slots, prompt_length + steps
        self.slot_layers = [SlotLayer(slots, self.max_length, multiple) for _ in range(layers)]
        super().__init__(layers=list(self.slot_layers))

    def cover(self, start: int, stop: int, step: int, again: bool = False) -> None:
        """Point the call that yields token `step` at the slots [start, stop).

        again: for a second call that feeds the last token alone, with all before it in the cache.
        """
        first = step == 0 and not again
        filled = self.prefix_length if first else self.prompt_length + step - 1
        for layer in self.slot_layers:
            layer.cover(slice(start, stop), filled)

    def fork(self, parent: Tensor, step: int) -> Tensor:
        """After token `step`: the slot of each child, which becomes a copy of parent[i] where that is another."""
        placed = place(parent)
        moved = placed != parent
        self._copy(parent[moved], placed[moved], self.prompt_length + step)
        return placed

    def copy(self, source: Tensor, target: range, step: int) -> None:
        """The slots `target` become copies of `source`, for a second call of token `step`. They are disjoint."""
        self._copy(source, torch.arange(target.start, target.stop), self.prompt_length + step)

    def _copy(self, source: Tensor, target: Tensor, length: int) -> None:
        for layer in self.own_layers if len(target) else []:
            layer.copy(source, target, length)

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

    def fork(self, parent: Tensor, step: int) -> Tensor:
        placed = self.own.fork(parent, step)
        moved = placed != parent
        self._copy(parent[moved], placed[moved])
        return placed

    def copy(self, source: Tensor, target: range, step: int) -> None:
        self.own.copy(source, target, step)
        self._copy(source, torch.arange(target.start, target.stop))

    def _copy(self, source: Tensor, target: Tensor) -> None:
        for layer in self.cross_layers if len(target) else []:
            layer.copy(source, target, layer.max_length)


class TokenCache:
    """The token ids of each slot, for a model that keeps its keys and values elsewhere."""

    def __init__(self, slots: int) -> None:
        self.rows: list[tuple[int, ...]] = [()] * slots
        self.window = range(0)

    def cover(self, start: int, stop: int, step: int, again: bool = False) -> None:
        """Point the next call at the slots [start, stop)."""
        self.window = range(start, stop)

    def begin(self, prompts: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
        """Put the prompts into the slots of this call."""
        return self._put([tuple(prompt) for prompt in prompts])

    def extend(self, tokens: Sequence[int]) -> list[tuple[int, ...]]:
        """A token more in each slot of this call. Returns what the slots have now."""
        return self._put(
            [(*self.rows[slot], token) for slot, token in zip(self.window, tokens, strict=True)]
        )

    def _put(self, rows: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        for slot, row in zip(self.window, rows, strict=True):
            self.rows[slot] = row
        return rows

    def fork(self, parent: Tensor, step: int) -> Tensor:
        """As of `SlotCache`."""
        placed = place(parent)
        self.copy(parent, placed, step)
        return placed

    def copy(self, source: Tensor, target: Tensor | range, step: int) -> None:
        """The slots `target` become copies of `source`."""
        slots = target.tolist() if isinstance(target, Tensor) else target
        for slot, row in zip(slots, [self.rows[parent] for parent in source.tolist()], strict=True):
            self.rows[slot] = row


def place(parent: Tensor) -> Tensor:
    """The slot of each child, of [0, children): the first child of a slot stays there where it can.

    A slot that is written to is never one that is still to be read: it is free because no child stays in
    it, and a slot with children always keeps one if it is low enough.
    """
    order = parent.argsort(stable=True)
    first = torch.ones_like(parent, dtype=torch.bool)
    first[order[1:]] = parent[order].diff() != 0
    stays = first & (parent < len(parent))
    free = torch.ones_like(stays)
    free[parent[stays]] = False
    slots = parent.clone()
    slots[~stays] = free.nonzero()[:, 0]
    return slots
