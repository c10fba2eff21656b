"""One interface to causal and encoder–decoder models: a first call on the prompts, then one a token.

Rows are the slots of a cache that lie side by side. `padding` is (rows, P), 1 where a prompt has a
token; it goes with its row when the row forks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from random_routing.models.attention import NAME
from random_routing.models.cache import CrossCache, RowStates, SlotCache, TokenCache
from random_routing.models.moments import Moment, moment
from random_routing.models.random_paths import Path, along
from random_routing.models.shape import Shape
from random_routing.models.shared import SharedCache, SharedCross

MULTIPLE = 16  # of positions that a call in bfloat16 sees


def pad(prompts: Sequence[Sequence[int]], length: int, left: bool) -> tuple[Tensor, Tensor]:
    """Padded ids and padding, each (rows, length). Padding ids are 0 and are never attended."""
    ids = torch.zeros(len(prompts), length, dtype=torch.long)
    padding = torch.zeros(len(prompts), length, dtype=torch.long)
    for i, prompt in enumerate(prompts):
        if not 0 < len(prompt) <= length:
            raise ValueError(f"prompt {i} has {len(prompt)} tokens; 1 to {length} fit")
        place = slice(length - len(prompt), length) if left else slice(0, len(prompt))
        ids[i, place] = torch.tensor(prompt)
        padding[i, place] = 1
    return ids, padding


@dataclass
class Kept:
    """The cache of the last texts on a GPU, for the next ones: its graphs hold on to its memory."""

    cache: SharedCache | None = None


@dataclass(frozen=True)
class LanguageModel(ABC):
    """A model with its tokenizer. All logits are (B, V) in the model's dtype."""

    name: str
    network: nn.Module
    tokenizer: Any
    shape: Shape
    device: str
    kept: Kept = field(default_factory=Kept)

    @property
    def static(self) -> bool:
        """Shapes that never change: what a GPU wants."""
        return self.device == "cuda"

    def next_logits(self, logits: Tensor) -> Tensor:
        """(B, V) of the last position, from (B, T, V)."""
        last = logits[:, -1]
        if self.shape.barred:
            last.index_fill_(1, self._barred, -torch.inf)
        return last

    @cached_property
    def _barred(self) -> Tensor:
        return torch.tensor(self.shape.barred, device=self.device)

    @property
    def _multiple(self) -> int:
        """Of the positions that a call sees on a CPU: oneDNN's product of bfloat16 wants them side by side."""
        config: Any = self.network.config
        own = config._attn_implementation == NAME
        return MULTIPLE if own and next(self.network.parameters()).dtype == torch.bfloat16 else 1

    def moment(self) -> Moment:
        """When the device will have done what it was asked for."""
        return moment(self.device)

    @abstractmethod
    def pad(self, prompts: Sequence[Sequence[int]], length: int) -> tuple[Tensor, Tensor]:
        """Padded ids and padding of the prompts, each (rows, length), on the model's device."""

    @abstractmethod
    def new_cache(
        self, slots: int, prompt_length: int, steps: int, prefix_length: int = 0
    ) -> SlotCache | CrossCache | SharedCache | SharedCross | TokenCache: ...

    def shared_cache(self, slots: int, max_length: int) -> SharedCache:
        """The one of the texts before where it is large enough."""
        cache = self.kept.cache
        if cache is None or cache.slots < slots or cache.max_length < max_length:
            in_place = self.network.config._attn_implementation == NAME  # type: ignore[union-attr]
            cache = self.kept.cache = None  # first, so that there is room
            cache = SharedCache(self.shape.layers, slots, max_length, bool(in_place), self.device)
            self.kept.cache = cache
        return cache

    def forget(self) -> None:
        """Give back the memory of the texts before."""
        self.kept.cache = None
        if self.static:
            torch.cuda.empty_cache()

    @abstractmethod
    def start(self, ids: Tensor, padding: Tensor, cache: Any) -> Tensor:
        """Logits of the first token after the prompts ids (B, P)."""

    @abstractmethod
    def step(
        self, tokens: Tensor, padding: Tensor, step: int, cache: Any, path: Path | None = None
    ) -> Tensor:
        """Logits of token `step` ≥ 1 after feeding the token before it, (B, 1); along a path if there is one."""

    def again(self, fed: Tensor, padding: Tensor, step: int, cache: Any, path: Path) -> Tensor:
        """Logits of token `step` once more along a path, feeding only the last token of what was fed, (B, T)."""
        return self.step(fed[:, -1:], padding, step, cache, path)

    def prefix_states(self, prefix: Sequence[int]) -> RowStates:
        """Keys and values of a beginning that all prompts share; computed beside a copy of itself."""
        raise NotImplementedError(f"{self.name}: only causal models have a shared beginning")


def call(
    network: Callable[..., Tensor], cache: Any, inputs: dict[str, Tensor], path: Path | None
) -> Tensor:
    """network(cache, **inputs), along a path if there is one; a `SharedCache` captures it."""

    function = partial(network, cache)
    if path is not None:
        function = partial(_call_along, path, function)
        inputs = {"chosen": path.chosen, **inputs}
    if isinstance(cache, (SharedCache, SharedCross)):
        return cache.call(function, inputs, path and path.route)
    return function(**inputs)


def _call_along(path: Path, network: Callable[..., Tensor], chosen: Tensor, **given: Tensor) -> Tensor:
    with along(path.parts, path.route, chosen):
        return network(**given)


@dataclass(frozen=True)
class CausalModel(LanguageModel):
    """Prompts stand left-padded before the text, behind the shared prefix if there is one."""

    def pad(self, prompts: Sequence[Sequence[int]], length: int) -> tuple[Tensor, Tensor]:
        ids, padding = pad(prompts, length, left=True)
        return ids.to(self.device), padding.to(self.device)

    def new_cache(
        self, slots: int, prompt_length: int, steps: int, prefix_length: int = 0
    ) -> SlotCache | SharedCache:
        before = prefix_length + prompt_length
        if not self.static:
            return SlotCache(self.shape.layers, slots, before, steps, prefix_length, self._multiple)
        cache = self.shared_cache(slots, before + steps)
        cache.begin(before, prefix_length)
        return cache

    def start(self, ids: Tensor, padding: Tensor, cache: SlotCache | SharedCache) -> Tensor:
        positions = cache.prefix_length + (padding.cumsum(1) - 1).clamp(min=0)  # (B, P)
        return self._call(ids, padding, positions, cache, None)

    def step(
        self,
        tokens: Tensor,
        padding: Tensor,
        step: int,
        cache: SlotCache | SharedCache,
        path: Path | None = None,
    ) -> Tensor:
        positions = cache.prefix_length + padding.sum(1, keepdim=True) + step - 1  # (B, 1)
        return self._call(tokens, padding, positions, cache, path)

    def _call(
        self,
        ids: Tensor,
        padding: Tensor,
        positions: Tensor,
        cache: SlotCache | SharedCache,
        path: Path | None,
    ) -> Tensor:
        # What is not yet written is hidden by the mask.
        seen, _ = cache.get_mask_sizes(ids.shape[1], 0)
        before = cache.prefix_length
        attended = nn.functional.pad(padding, (before, seen - before - padding.shape[1]), value=1)
        inputs = {"ids": ids, "attended": attended, "positions": positions}
        return call(self._network, cache, inputs, path)

    def _network(self, cache: Any, ids: Tensor, attended: Tensor, positions: Tensor) -> Tensor:
        output = self.network(
            input_ids=ids,
            attention_mask=attended,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return self.next_logits(output.logits)

    def prefix_states(self, prefix: Sequence[int]) -> RowStates:
        cache = self.new_cache(2, len(prefix), 0)
        ids, padding = self.pad([prefix, prefix], len(prefix))
        cache.cover(0, 2, 0)
        self.start(ids, padding, cache)
        return cache.row(0, len(prefix))


@dataclass(frozen=True)
class EncoderDecoderModel(LanguageModel):
    """Prompts are what the encoder reads, right-padded; targets begin with `decoder_start`."""

    def pad(self, prompts: Sequence[Sequence[int]], length: int) -> tuple[Tensor, Tensor]:
        ids, padding = pad(prompts, length, left=False)
        return ids.to(self.device), padding.to(self.device)

    def new_cache(
        self, slots: int, prompt_length: int, steps: int, prefix_length: int = 0
    ) -> CrossCache | SharedCross:
        if prefix_length:
            raise ValueError("encoder-decoder models have no shared prefix")
        begin = len(self.shape.decoder_start)
        if not self.static:
            slot_cache = SlotCache(self.shape.layers, slots, begin, steps, multiple=self._multiple)
            return CrossCache(slot_cache, prompt_length)
        own = self.shared_cache(slots, begin + steps)
        own.begin(begin, 0)
        return SharedCross(own, prompt_length)

    def start(self, ids: Tensor, padding: Tensor, cache: CrossCache | SharedCross) -> Tensor:
        inputs = {"read": ids, "ids": self._begin(len(ids)), "padding": padding}
        return call(self._first, cache, inputs, None)

    def _first(self, cache: Any, read: Tensor, ids: Tensor, padding: Tensor) -> Tensor:
        encoder = self.network.get_encoder()  # type: ignore[operator]
        states = encoder(input_ids=read, attention_mask=padding)
        return self._network(cache, ids, padding, states.last_hidden_state)

    def step(
        self,
        tokens: Tensor,
        padding: Tensor,
        step: int,
        cache: CrossCache | SharedCross,
        path: Path | None = None,
    ) -> Tensor:
        return call(self._network, cache, {"ids": tokens, "padding": padding}, path)

    def again(
        self, fed: Tensor, padding: Tensor, step: int, cache: CrossCache | SharedCross, path: Path
    ) -> Tensor:
        if step == 0:  # what was fed went to the encoder
            fed = self._begin(len(fed))
        return super().again(fed, padding, step, cache, path)

    def _begin(self, rows: int) -> Tensor:
        return torch.tensor([self.shape.decoder_start], device=self.device).expand(rows, -1)

    def _network(self, cache: Any, ids: Tensor, padding: Tensor, states: Tensor | None = None) -> Tensor:
        if states is None:
            # Once their keys are in the cache, the decoder reads only the shape and dtype of these.
            dtype = next(self.network.parameters()).dtype
            states = torch.zeros(1, 1, 1, dtype=dtype, device=self.device).expand(*padding.shape, 1)
        output = self.network(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=padding,
            decoder_input_ids=ids,
            past_key_values=cache,
            use_cache=True,
        )
        return self.next_logits(output.logits)
