"""A policy's folder: the network, a tokenizer of actions, and the world that it acts in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from random_routing.environments.episode_tokens import words
from random_routing.environments.tabular import Environment, write_environment
from random_routing.models.tabular_policy import TabularPolicyForCausalLM


def write_policy(folder: Path, environment: Environment, preferences: np.ndarray) -> None:
    """preferences: (S, A), of which a softmax is the policy."""
    TabularPolicyForCausalLM.of(environment, preferences).save_pretrained(folder)
    policy_tokenizer(environment.actions).save_pretrained(folder)
    write_environment(folder, environment, {})


def policy_tokenizer(actions: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """A word for each action, as `environments.episode_tokens` orders them; all else is control tokens."""
    spelt = words(actions)
    special = [word for word in spelt if word not in actions]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(spelt)}, unk_token=special[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=special[0], eos_token=special[1])
