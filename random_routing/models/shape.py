"""What is known of a model without loading its weights: sizes, special ids, what its own settings ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Shape:
    context: int  # positions it can hold
    logits: int  # width of the logits
    layers: int  # of the decoder
    eos: int | list[int] | None
    inputs: int = 2**31  # ids that a prompt may have
    heads: int = 0  # of self-attention in each layer
    experts: int = 0  # of mixture-of-experts layers
    window: int = 0  # of sliding-window attention; 0: none
    counts_from_the_end: bool = False  # the window: GPT-Neo's is cut from the last key, filled or not
    is_encoder_decoder: bool = False
    decoder_start: tuple[int, ...] = ()  # ids that every target begins with
    barred: tuple[int, ...] = ()  # ids that the model's own settings never let it write, such as padding
    served: bool = False  # a server runs it, and only its distributions can be had
    # settings of the model's generation_config.json that no decoder obeys
    switched_off: dict[str, Any] = field(default_factory=dict)

    @property
    def obeyed(self) -> dict[str, Any]:
        """Settings of the model's generation_config.json that all decoders obey, beam search too."""
        return {"decoder_start": list(self.decoder_start), "eos": self.eos, "suppressed": list(self.barred)}


HEADS = ("decoder_attention_heads", "num_attention_heads", "n_head", "num_heads")
LAYERS = ("decoder_layers", "num_decoder_layers", "num_hidden_layers", "n_layer", "num_layers")


def size_of(config: Any, *names: str) -> int:
    """The first size of a decoder that its configuration has under one of the names; 0 where there is none."""
    text = config if config.is_encoder_decoder else config.get_text_config()
    return next((int(size) for name in names if (size := getattr(text, name, None))), 0)


def layers_of(config: Any) -> list[Any]:
    """The configuration of each layer of the decoder; they differ in models such as Gemma 4."""
    text = config if config.is_encoder_decoder else config.get_text_config()
    if getattr(text, "is_heterogeneous", False):
        return list(text.per_layer_config)
    return [config] * size_of(config, *LAYERS)


def heads_of(config: Any) -> int:
    """Self-attention heads of a layer of the decoder, of the one with most; 0 where the configuration names none."""
    return max((size_of(layer, *HEADS) for layer in layers_of(config)), default=0)


def experts_of(config: Any) -> int:
    """Experts of a mixture-of-experts model's layers; 0 for a dense model."""
    return size_of(config, "num_local_experts", "num_experts", "n_routed_experts")


def window_of(text: Any) -> int:
    """Positions of the shortest window of a decoder's attention; 0 where every layer sees all that is before.

    text: the decoder's configuration. Position biases that count padding between two tokens (MPT) are a window too.
    """
    if getattr(getattr(text, "attn_config", None), "alibi", False):
        return 1
    local = "local" in (getattr(text, "attention_layers", None) or ())
    window = getattr(text, "window_size", None) if local else getattr(text, "sliding_window", None)
    return window or getattr(text, "attention_chunk_size", None) or 0
