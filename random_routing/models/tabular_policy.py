"""A policy in a small world as a causal language model of transformers: its texts are episodes.

A token is an action, a digit of the episode's seed (the prompt), the end, or padding. What has been written fixes the
state: slippery steps are drawn by a counter from the seed (`environments.luck`). So the whole state of a position fits
into its key, and the cache, forks and left padding are those of any other model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import CausalLMOutputWithPast

from random_routing.environments.episode_tokens import DIGITS, FIRST, PAD, vocabulary_size
from random_routing.environments.luck import luck, thresholds
from random_routing.environments.tabular import Environment

SEED, STEP, STATE, OVER = range(4)  # what a key holds, int64


class TabularPolicyConfig(PreTrainedConfig):
    """Sizes: states, actions, and outcomes of each pair."""

    model_type = "tabular_policy"

    def __init__(self, states: int = 2, actions: int = 2, outcomes: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.states, self.actions, self.outcomes = states, actions, outcomes
        # What follows from these, whatever the file says.
        self.vocab_size = vocabulary_size(actions)
        self.eos_token_id, self.pad_token_id = self.end, PAD
        self.num_hidden_layers = self.num_attention_heads = 1
        self.head_dim = 4  # a key has four numbers of 64 bits, a value none
        self.max_position_embeddings = 2**20

    @property
    def end(self) -> int:
        """The token that is written once the episode is over, and nothing else then."""
        return FIRST + self.actions


class TokenTable(nn.Module):
    """What each token id stands for: weight (V,) int64, an action, A + a digit, or −1."""

    weight: Tensor

    def __init__(self, config: TabularPolicyConfig) -> None:
        super().__init__()
        self.register_buffer("weight", torch.full((config.vocab_size,), -1))


class TabularPolicyForCausalLM(PreTrainedModel, GenerationMixin):
    """p(action) = softmax(preferences[state]), a Boltzmann policy; after the episode the end alone.

    preferences: (S, A) float, the only parameter. The world, int64, which no dtype rounds: first (S,) and edges
    (S, A, K), `luck.thresholds` of the first state and of outcomes; after, ends: (S, A, K).
    """

    config_class = TabularPolicyConfig
    first: Tensor
    edges: Tensor
    after: Tensor
    ends: Tensor
    main_input_name = "input_ids"
    _supports_sdpa = _supports_flash_attn = _supports_attention_backend = True  # there is none to choose

    def __init__(self, config: TabularPolicyConfig) -> None:
        super().__init__(config)
        pairs = (config.states, config.actions)
        self.preferences = nn.Parameter(torch.zeros(pairs))
        self.tokens = TokenTable(config)
        self.register_buffer("first", torch.zeros(config.states, dtype=torch.int64))
        for name in ("edges", "after", "ends"):
            self.register_buffer(name, torch.zeros(*pairs, config.outcomes, dtype=torch.int64))
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def of(cls, environment: Environment, preferences: np.ndarray) -> TabularPolicyForCausalLM:
        """preferences: (S, A), such as action values divided by a temperature."""
        states, actions, outcomes = environment.chance.shape
        network = cls(TabularPolicyConfig(states, actions, outcomes))
        network.preferences.data = torch.from_numpy(preferences.astype(np.float32))
        network.first = torch.from_numpy(thresholds(environment.start))
        network.edges = torch.from_numpy(thresholds(environment.chance))
        network.after = torch.from_numpy(environment.next.astype(np.int64))
        network.ends = torch.from_numpy(environment.ends.astype(np.int64))
        network.tokens.weight[FIRST : FIRST + actions] = torch.arange(actions)
        network.tokens.weight[FIRST + actions + 1 :] = actions + torch.arange(DIGITS)
        return network

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: all is read from the file."""

    def get_input_embeddings(self) -> nn.Module:
        return self.tokens

    def get_output_embeddings(self) -> nn.Module:
        return self.tokens

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """input_ids: (B, T), padded with `PAD`, which needs no mask. Logits (B, T or logits_to_keep, V)."""
        now = self._before(past_key_values, input_ids)  # (B, 4)
        states = []
        for token in input_ids.unbind(1):
            now = self._read(now, token)
            states.append(now)
        seen = torch.stack(states, dim=1)  # (B, T, 4)
        if past_key_values is not None:
            past_key_values.update(seen[:, None], seen[:, None, :, :0], 0)
        logits = self._logits(seen[:, -logits_to_keep:].flatten(0, 1))
        shaped = logits.view(len(seen), -1, self.config.vocab_size)
        return CausalLMOutputWithPast(logits=shaped, past_key_values=past_key_values)

    def _before(self, cache: Any, input_ids: Tensor) -> Tensor:
        """What the last position that is filled holds: (B, 4); zeros where none is."""
        nothing = torch.zeros(len(input_ids), 4, dtype=torch.int64, device=input_ids.device)
        if cache is None or not cache.layers or not cache.layers[0].is_initialized:
            return nothing
        keys, filled = cache.layers[0].keys, cache.get_seq_length()
        if pages := getattr(keys, "pages", None):
            keys = pages.dense(keys)
        if isinstance(filled, int):
            return keys[:, 0, filled - 1] if filled else nothing
        last = (filled - 1).clamp(min=0).reshape(1)  # a tensor in a graph
        return torch.where(filled > 0, keys[:, 0].index_select(1, last)[:, 0], nothing)

    def _read(self, now: Tensor, token: Tensor) -> Tensor:
        """What a position holds, (B, 4), from the one before and its token (B,)."""
        seed, step, state, over = now.unbind(1)
        actions = self.config.actions
        meaning = self.tokens.weight[token]
        # A digit goes on with the seed, and the episode begins with it.
        is_digit = meaning >= actions
        longer = torch.where(is_digit, seed * DIGITS + meaning - actions, seed)
        begun = (self.first <= luck(longer, torch.zeros_like(longer))[:, None]).sum(1)
        # An action moves, as long as the episode is not over.
        moves = (meaning >= 0) & ~is_digit & (over == 0)
        action = meaning.clamp(0, actions - 1)
        outcome = (self.edges[state, action] <= luck(seed, step + 1)[:, None]).sum(1)
        after, ended = self.after[state, action, outcome], self.ends[state, action, outcome]
        return torch.stack([
            longer,
            torch.where(is_digit, 0, step + moves),
            torch.where(is_digit, begun, torch.where(moves, after, state)),
            torch.where(is_digit, 0, torch.where(moves, ended, over | (token == self.config.end))),
        ], dim=1)  # fmt: skip

    def _logits(self, now: Tensor) -> Tensor:
        """(N, V) from (N, 4)."""
        going = now[:, OVER, None] == 0
        wanted = self.preferences[now[:, STATE]].masked_fill(~going, -torch.inf)  # (N, A)
        logits = wanted.new_full((len(now), self.config.vocab_size), -torch.inf)
        logits[:, FIRST : FIRST + self.config.actions] = wanted
        logits[:, self.config.end] = torch.where(going[:, 0], -torch.inf, 0.0).to(logits)
        return logits


AutoConfig.register(TabularPolicyConfig.model_type, TabularPolicyConfig)
AutoModelForCausalLM.register(TabularPolicyConfig, TabularPolicyForCausalLM)
