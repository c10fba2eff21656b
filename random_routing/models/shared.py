"""A key/value cache with fixed shapes, for a GPU: what rows share is kept once, and a fork copies no key.

All prefixes grow by one token a step, so a position is written once, into the slot of the row that was there, and never
again. A row's table names the slot of each of its positions; a child takes over its parent's. A model call is a
function of tensors of a few shapes, so that it can be captured as a CUDA graph and replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin, EncoderDecoderCache

from random_routing.models.cache import RowStates
from random_routing.models.graphs import FEWEST, Graphs, width_of

PREFILL = 8_192  # tokens of a call on prompts, whatever the batch


def prefill_rows(length: int) -> int:
    """Rows of a call on prompts of `length` tokens: one shape for all."""
    return max(FEWEST, PREFILL // length)


@dataclass
class Pages:
    """Where the keys of a model call's rows lie: table (B, S) int32, the slot of each position; end () how many."""

    table: Tensor
    end: Tensor

    def dense(self, states: Tensor) -> Tensor:
        """(B, heads, S, size), row by row, from those of all slots (slots, heads, S, size)."""
        places = torch.arange(self.table.shape[1], device=states.device)
        return states[self.table.long(), :, places].transpose(1, 2)


class SharedLayer(CacheLayerMixin):
    """One layer's keys and values, (slots + 1, heads, length, head size).

    in_place: a call gets those of all slots, which carry their `Pages`; else the rows' own, gathered.
    """

    is_sliding = False  # keeps all positions; a sliding window is applied by the model's mask
    filled: Tensor | int = 0  # positions before the current call

    def __init__(self, slots: int, max_length: int, in_place: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots, self.max_length, self.in_place = slots, max_length, in_place

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        def room(states: Tensor) -> Tensor:
            return states.new_zeros(self.slots + 1, states.shape[1], self.max_length, states.shape[3])

        self.all_keys, self.all_values = room(key_states), room(value_states)
        self.is_initialized = True

    def point(self, own: Tensor, places: Tensor, filled: Tensor | int, pages: Pages) -> None:
        """own: (B,) slots that the next call's rows write to, places: (T,) the positions there, after `filled`."""
        self.own, self.places, self.filled, self.pages = own, places, filled, pages
        if self.is_initialized:
            self.keys, self.values = self._seen(self.all_keys), self._seen(self.all_values)

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if key_states.is_cuda:
            from random_routing.models.tiles import keep  # Triton is there where a GPU is

            keep(key_states, value_states, self.all_keys, self.all_values, self.own, self.places)
        else:
            self.all_keys[self.own[:, None], :, self.places] = key_states.transpose(1, 2)
            self.all_values[self.own[:, None], :, self.places] = value_states.transpose(1, 2)
        self.keys, self.values = self._seen(self.all_keys), self._seen(self.all_values)
        return self.keys, self.values

    def _seen(self, states: Tensor) -> Tensor:
        if not self.in_place:
            return self.pages.dense(states)
        states.pages = self.pages  # type: ignore[attr-defined]  # for `grouped_attention`
        return states

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.max_length, 0

    def get_seq_length(self) -> int:
        return self.filled  # type: ignore[return-value]  # a tensor in a graph, as of the library's StaticLayer

    def get_max_length(self) -> int:
        return self.max_length


class SharedCache(Cache):
    """Cache of `slots` rows: `prompt_length` positions are filled by the first call, then one a step.

    The first `prefix_length` of them hold a prefix that all prompts share (see `fill`). Made once for all blocks that
    fit, with its graphs.
    """

    def __init__(self, layers: int, slots: int, max_length: int, in_place: bool, device: str) -> None:
        self.slots, self.max_length, self.in_place, self.device = slots, max_length, in_place, device
        self.shared_layers = [SharedLayer(slots, max_length, in_place) for _ in range(layers)]
        super().__init__(layers=list(self.shared_layers))
        self.own = torch.arange(slots, device=device)
        self.table = torch.empty(slots, max_length, dtype=torch.int32, device=device)
        self.graphs = Graphs()
        self.started: set[tuple[int, ...]] = set()  # shapes of calls on prompts that have been

    def begin(self, prompt_length: int, prefix_length: int) -> None:
        """For other texts: every slot has its own positions again."""
        self.prompt_length, self.prefix_length = prompt_length, prefix_length
        self.table[:] = self.own[:, None]

    def cover(self, start: int, stop: int, step: int, again: bool = False) -> None:
        """Point the call that yields token `step` at the slots [start, stop).

        again: for a second call that feeds the last token alone, with all before it in the cache.
        """
        self.first = step == 0 and not again
        self.start, self.rows = start, stop - start
        self.filled = self.prefix_length if self.first else self.prompt_length + step - 1

    def call(
        self,
        network: Callable[..., Tensor],
        inputs: dict[str, Tensor],
        kind: object = None,
        captured: bool = True,
    ) -> Tensor:
        """network(**inputs) on the covered slots: (B, V). inputs: (B, …) each; kind: what else the call depends on.

        A call on prompts always has the rows that `prefill_rows` says. It is captured where it comes again: a graph is
        two calls' work.
        """
        length = inputs["ids"].shape[1]
        read = inputs.get("read", inputs["ids"]).shape[1]  # by the encoder, where there is one
        width = prefill_rows(read) if self.first else width_of(self.rows)
        window = slice(self.start, self.start + self.rows)
        own = torch.full(
            (width,), self.slots, device=self.device
        )  # rows that fill up write beside the slots
        own[: self.rows] = self.own[window]
        where: dict[str, Tensor | int] = {"table": self.table[window], "slots": own, "filled": self.filled}
        shape = width, read, length
        again = not self.first or shape in self.started
        self.started.add(shape)
        # The library's own attention sends numbers to the GPU, which a graph must not.
        captured = captured and again and self.in_place

        def on_slots(table: Tensor, slots: Tensor, filled: Tensor, **given: Tensor) -> Tensor:
            pages = Pages(table, (filled + length).to(torch.int32))
            places = torch.arange(length, device=self.device) + filled
            for layer in self.shared_layers:
                layer.point(slots, places, filled, pages)
            return network(**given)

        return self.graphs(on_slots, {**where, **inputs}, width, captured, kind)[: self.rows]

    def fork(self, parent: Tensor, step: int) -> Tensor:
        """After token `step`: child i, of the slot parent[i], gets slot i. Returns the children's slots."""
        slots = self.own[: len(parent)]
        self._take_over(parent, slots, self.prompt_length + step)
        return slots

    def copy(self, source: Tensor, target: range, step: int) -> None:
        """The slots `target` hold what `source` hold, for a second call of token `step`."""
        self._take_over(source, self.own[target.start : target.stop], self.prompt_length + step - 1)

    def _take_over(self, source: Tensor, target: Tensor, length: int) -> None:
        taken = self.table[source]
        taken[:, length:] = target[:, None]
        self.table[target] = taken

    @property
    def own_layers(self) -> list[SharedLayer]:
        """Those that a model call has written to, which are all but those that read another layer's."""
        return [layer for layer in self.shared_layers if layer.is_initialized]

    def fill(self, states: RowStates, slots: int) -> None:
        """Write the shared prefix, once: all slots read it from the first."""
        for number, (keys, values) in states.items():
            layer = self.shared_layers[number]
            if not layer.is_initialized:
                layer.lazy_initialization(keys[None], values[None])
            layer.all_keys[0, :, : keys.shape[1]] = keys
            layer.all_values[0, :, : values.shape[1]] = values
        self.table[:, : self.prefix_length] = 0

    def row(self, slot: int, length: int) -> RowStates:
        """A copy of the first `length` positions of a slot."""
        pages = Pages(self.table[slot : slot + 1, :length], self.own[0])
        return {
            number: (pages.dense(layer.all_keys)[0].clone(), pages.dense(layer.all_values)[0].clone())
            for number, layer in enumerate(self.shared_layers)
            if layer.is_initialized
        }


class SharedCross(EncoderDecoderCache):
    """A decoder's own cache beside the keys and values of its encoder's states, which a prompt's rows share."""

    def __init__(self, own: SharedCache, source_length: int) -> None:
        self.own, self.source_length = own, source_length
        layers = own.shared_layers
        self.cross_layers = [SharedLayer(own.slots, source_length, layer.in_place) for layer in layers]
        super().__init__(own, Cache(layers=list(self.cross_layers)))
        self.table = own.own.to(torch.int32)  # (slots,) where the source of each was read
        self.end = torch.tensor(source_length, dtype=torch.int32, device=own.device)

    def cover(self, start: int, stop: int, step: int, again: bool = False) -> None:
        self.own.cover(start, stop, step, again)
        for number in range(len(self.cross_layers)):
            self.is_updated[number] = step > 0 or again

    def call(
        self, network: Callable[..., Tensor], inputs: dict[str, Tensor], kind: object = None
    ) -> Tensor:
        """As of `SharedCache`, but never captured: decoders count positions on the host."""

        def on_sources(source: Tensor, **given: Tensor) -> Tensor:
            pages = Pages(source[:, None].expand(-1, self.source_length), self.end)
            places = torch.arange(self.source_length, device=self.own.device)
            for layer, beside in zip(self.cross_layers, self.own.shared_layers, strict=True):
                layer.point(beside.own, places, 0, pages)
            return network(**given)

        source = self.table[self.own.start : self.own.start + self.own.rows]
        return self.own.call(on_sources, {"source": source, **inputs}, kind, captured=False)

    def fork(self, parent: Tensor, step: int) -> Tensor:
        self.table[: len(parent)] = self.table[parent]
        return self.own.fork(parent, step)

    def copy(self, source: Tensor, target: range, step: int) -> None:
        self.table[target.start : target.stop] = self.table[source]
        self.own.copy(source, target, step)
