"""Loading a language model so that a row's result does not depend on the rows beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from pipeline.checks import PipelineError
from pipeline.decoding.attention import NAME as ATTENTION
from pipeline.decoding.cache import SlotCache
from pipeline.decoding.invariant import make_invariant


@dataclass(frozen=True)
class Shape:
    """What is known of a model without loading its weights."""

    context: int  # positions it can hold
    logits: int  # width of the logits
    layers: int
    eos: int | list[int] | None
    is_encoder_decoder: bool = False


@dataclass(frozen=True)
class LanguageModel:
    """A causal model with its tokenizer."""

    name: str
    network: nn.Module
    tokenizer: Any
    shape: Shape

    def new_cache(self, slots: int, max_length: int) -> SlotCache:
        return SlotCache(self.shape.layers, slots, max_length)

    def logits(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: SlotCache) -> Tensor:
        """Next-token logits, (B, V) float32, after feeding ids (B, T) to the slots `cache` covers.

        mask: (B, filled + T), 1 where a key may be attended; positions: (B, T), counted without padding.
        """
        output = self.network(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()  # (B, V)


def read_shape(folder: str | Path) -> Shape:
    """Raises `PipelineError` when the folder holds no model configuration."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(f"{folder}: no usable model configuration ({error})") from None
    text = config.get_text_config()
    return Shape(
        context=getattr(text, "max_position_embeddings", None) or 2**31,
        logits=text.vocab_size,
        layers=text.num_hidden_layers,
        eos=_generation_eos(Path(folder), config),
        is_encoder_decoder=bool(config.is_encoder_decoder),
    )


def _generation_eos(folder: Path, config: Any) -> int | list[int] | None:
    try:
        return GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
    except OSError:  # no generation_config.json
        return config.eos_token_id


def load_tokenizer(folder: str | Path) -> Any:
    """Raises `PipelineError` when the folder is missing or holds no tokenizer."""
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(f"{folder}: no usable tokenizer ({error})") from None


def load_model(folder: str | Path, dtype: str = "float32", invariant: bool = True) -> LanguageModel:
    """Load safetensors and tokenizer from a folder; never runs code from it.

    `invariant=False` leaves the fp32 multiplications to the default library, whose results change
    with the batch; it exists so that tests can see the difference. Raises `PipelineError`.
    """
    shape, tokenizer = read_shape(folder), load_tokenizer(folder)
    try:
        network = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            attn_implementation=ATTENTION,  # fp32 sdpa changes with the key length
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(f"{folder}: no usable causal model ({error})") from None
    network.eval()
    if invariant:
        make_invariant(network)
    return LanguageModel(Path(folder).name, network, tokenizer, shape)
