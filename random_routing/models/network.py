"""One interface to causal and encoder–decoder models: a first call on the prompts, then one a token.

Rows are the slots of a cache that lie side by side. `padding` is (rows, P), 1 where a prompt has a
token; it goes with its row when the row forks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from random_routing.models.cache import CrossCache, RowStates, SlotCache
from random_routing.models.shape import Shape


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


@dataclass(frozen=True)
class LanguageModel(ABC):
    """A model with its tokenizer. All logits are (B, V) in the model's dtype."""

    name: str
    network: nn.Module
    tokenizer: Any
    shape: Shape
    device: str

    @property
    def static(self) -> bool:
        """Shapes that never change: what a GPU wants."""
        return self.device == "cuda"

    def next_logits(self, logits: Tensor) -> Tensor:
        """(B, V) of the last position, from (B, T, V)."""
        last = logits[:, -1]
        if self.shape.barred:
            last[:, list(self.shape.barred)] = -torch.inf
        return last

    @abstractmethod
    def pad(self, prompts: Sequence[Sequence[int]], length: int) -> tuple[Tensor, Tensor]:
        """Padded ids and padding of the prompts, each (rows, length)."""

    @abstractmethod
    def new_cache(
        self, slots: int, prompt_length: int, steps: int, prefix_length: int = 0
    ) -> SlotCache | CrossCache: ...

    @abstractmethod
    def start(self, ids: Tensor, padding: Tensor, cache: Any) -> Tensor:
        """Logits of the first token after the prompts ids (B, P)."""

    @abstractmethod
    def step(self, tokens: Tensor, padding: Tensor, step: int, cache: Any) -> Tensor:
        """Logits of token `step` ≥ 1 after feeding the token before it, (B, 1)."""

    def again(self, fed: Tensor, padding: Tensor, step: int, cache: Any) -> Tensor:
        """Logits of token `step` once more, feeding only the last token of what was fed, (B, T)."""
        return self.step(fed[:, -1:], padding, step, cache)

    def prefix_states(self, prefix: Sequence[int]) -> RowStates:
        """Keys and values of a beginning that all prompts share; computed beside a copy of itself."""
        raise NotImplementedError(f"{self.name}: only causal models have a shared beginning")


@dataclass(frozen=True)
class CausalModel(LanguageModel):
    """Prompts stand left-padded before the text, behind the shared prefix if there is one."""

    def pad(self, prompts: Sequence[Sequence[int]], length: int) -> tuple[Tensor, Tensor]:
        return pad(prompts, length, left=True)

    def new_cache(self, slots: int, prompt_length: int, steps: int, prefix_length: int = 0) -> SlotCache:
        return SlotCache(
            self.shape.layers, slots, prefix_length + prompt_length, steps, prefix_length, self.static
        )

    def start(self, ids: Tensor, padding: Tensor, cache: SlotCache) -> Tensor:
        positions = cache.prefix_length + (padding.cumsum(1) - 1).clamp(min=0)  # (B, P)
        return self._call(ids, padding, positions, cache)

    def step(self, tokens: Tensor, padding: Tensor, step: int, cache: SlotCache) -> Tensor:
        positions = cache.prefix_length + padding.sum(1, keepdim=True) + step - 1  # (B, 1)
        return self._call(tokens, padding, positions, cache)

    def _call(self, ids: Tensor, padding: Tensor, positions: Tensor, cache: SlotCache) -> Tensor:
        before, after = cache.prefix_length, cache.get_seq_length() + ids.shape[1] - cache.prompt_length
        attended = nn.functional.pad(padding, (before, max(0, after)), value=1)
        if cache.static:
            attended = nn.functional.pad(attended, (0, cache.max_length - attended.shape[1]))
        output = self.network(
            input_ids=ids.to(self.device),
            attention_mask=attended.to(self.device),
            position_ids=positions.to(self.device),
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
        return pad(prompts, length, left=False)

    def new_cache(self, slots: int, prompt_length: int, steps: int, prefix_length: int = 0) -> CrossCache:
        if prefix_length:
            raise ValueError("encoder-decoder models have no shared prefix")
        own = SlotCache(self.shape.layers, slots, len(self.shape.decoder_start), steps, static=self.static)
        return CrossCache(own, prompt_length)

    def start(self, ids: Tensor, padding: Tensor, cache: CrossCache) -> Tensor:
        encoder = self.network.get_encoder()  # type: ignore[operator]
        states = encoder(input_ids=ids.to(self.device), attention_mask=padding.to(self.device))
        begin = torch.tensor([self.shape.decoder_start]).expand(len(ids), -1)
        return self._call(begin, states.last_hidden_state, padding, cache)

    def step(self, tokens: Tensor, padding: Tensor, step: int, cache: CrossCache) -> Tensor:
        # Once their keys are in the cache, the decoder reads only the shape and dtype of these.
        dtype = next(self.network.parameters()).dtype
        states = torch.zeros(1, 1, 1, dtype=dtype, device=self.device)
        states = states.expand(*padding.shape, 1)
        return self._call(tokens, states, padding, cache)

    def again(self, fed: Tensor, padding: Tensor, step: int, cache: CrossCache) -> Tensor:
        if step == 0:  # what was fed went to the encoder
            fed = torch.tensor([self.shape.decoder_start[-1:]]).expand(len(fed), -1)
        return self.step(fed, padding, step, cache)

    def _call(self, tokens: Tensor, states: Tensor, padding: Tensor, cache: CrossCache) -> Tensor:
        output = self.network(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=padding.to(self.device),
            decoder_input_ids=tokens.to(self.device),
            past_key_values=cache,
            use_cache=True,
        )
        return self.next_logits(output.logits)
