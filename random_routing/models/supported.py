"""What a model is, from its folder without its weights: whether it can be decoded or judge at all.

The library's own cache says what a layer keeps between two steps, and a network on the `meta` device, which has
shapes and no weights, how it is built: so no list of names has to be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, DynamicCache, cache_utils

from random_routing.errors import PipelineError, short
from random_routing.models import tabular_policy  # noqa: F401  # an architecture of this project's own

# Layers whose whole state is a key and a value per position, or that read those of another layer.
KEPT = tuple(
    getattr(cache_utils, name)
    for name in (
        "DynamicLayer",
        "DynamicSlidingWindowLayer",
        "DummyLayer",
    )  # the last since transformers 5.20
    if hasattr(cache_utils, name)
)


def loader_of(config: Any) -> Any:
    return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM


@dataclass(frozen=True)
class Kind:
    """loader: the library's auto class; attention: the first of the asked implementations that it takes; width: token
    ids that it can read and write."""

    loader: Any
    attention: str
    width: int


def kind_of(folder: str | Path, config: Any, attentions: Sequence[str]) -> Kind:
    """Raises `PipelineError` for what is no model that writes from left to right with a key/value cache."""
    where = f"{folder}/config.json"
    kind = class_of(loader_of(config), config)
    if kind is None:
        raise PipelineError(
            f"{where}: model_type = {config.model_type!r}: must be a causal or an encoder-decoder language model"
        )
    named = config.architectures or [kind.__name__]
    base = class_of(AutoModel, config)
    allowed = {kind.__name__} | ({base.__name__} if base else set())
    if not allowed.intersection(named):
        raise PipelineError(
            f"{where}: architectures = {named}: must be {kind.__name__}, a model that writes texts; "
            "masked language models, encoders and classifiers cannot"
        )
    _check_cache(where, config, kind)
    network, attention = skeleton(where, config, attentions)
    _check_attention(where, config, network)
    inputs, output = network.get_input_embeddings(), network.get_output_embeddings()  # type: ignore[operator]
    widths = [module.weight.shape[0] for module in (inputs, output) if hasattr(module, "weight")]
    return Kind(loader_of(config), attention, min(widths))


def class_of(auto: Any, config: Any) -> Any:
    """The class that an auto class of the library would load; None where there is none."""
    classes = auto._model_mapping.get(type(config), None)
    return classes[0] if isinstance(classes, (tuple, list)) else classes


def _check_cache(where: str, config: Any, kind: Any) -> None:
    """Recurrent states, convolutions and compressed caches cannot be kept by position, or forked by `SlotCache`."""
    text = config.get_text_config(decoder=True)
    try:
        layers = DynamicCache(config=config).layers
    except Exception as error:  # a layer type that the library's cache does not know
        raise PipelineError(f"{where}: its cache is not supported ({short(error)})") from None
    odd = sorted({type(layer).__name__ for layer in layers if type(layer) not in KEPT})
    types = {*(getattr(text, "layer_types", None) or ())}
    attention_alone = types and types <= {"full_attention", "sliding_attention"}
    if not odd and kind._is_stateful and not attention_alone:
        odd = ["recurrent states"]
    if odd:
        raise PipelineError(
            f"{where}: model_type = {config.model_type!r}: {kind.__name__} keeps {', '.join(odd)}, not only keys and "
            "values; state-space and hybrid models cannot be decoded here"
        )


def _check_attention(where: str, config: Any, network: nn.Module) -> None:
    if sinks := [
        name for name, _ in network.named_parameters() if name.rpartition(".")[2].startswith("sink")
    ]:
        raise PipelineError(
            f"{where}: model_type = {config.model_type!r}: {type(network).__name__} has attention sinks "
            f"({sinks[0]}), which are not supported"
        )
    if config.is_encoder_decoder:
        return
    decoder = network.get_decoder() or network  # type: ignore[operator]
    causal = {m.is_causal for m in decoder.modules() if isinstance(getattr(m, "is_causal", None), bool)}
    if causal == {False}:
        raise PipelineError(
            f"{where}: {type(network).__name__} reads to the right too (is_decoder = "
            f"{getattr(config, 'is_decoder', None)}); a model that writes from left to right is needed"
        )
    if getattr(config, "alibi", False) and config.model_type == "falcon":
        raise PipelineError(
            f"{where}: alibi = true: the library's attention adds Falcon's position biases twice; not supported"
        )


def skeleton(where: str | Path, config: Any, attentions: Sequence[str]) -> tuple[nn.Module, str]:
    """The network without weights, on the `meta` device, and the first attention implementation that it takes."""
    for attention in attentions:
        try:
            with torch.device("meta"):
                network = loader_of(config).from_config(
                    config, attn_implementation=attention, trust_remote_code=False
                )
            return network, attention
        except KeyError:  # GPT-J, GPT-Neo, Falcon look their attention up in tables of their own
            continue
        except (ValueError, TypeError, AttributeError, RuntimeError, ImportError) as error:
            raise PipelineError(f"{where}: no usable model configuration ({short(error)})") from None
    raise PipelineError(
        f"{where}: {config.model_type} takes no attention implementation that is known here"
    )


def check_width(folder: str | Path, width: int, tokenizer: Any) -> None:
    """Raises `PipelineError` where the tokenizer gives ids that the model cannot read. width: of `Kind`.

    Control tokens beyond it are no fault as long as no text is read as one (Gemma 3 has one for pictures).
    """
    control = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    read = ({int(i) for i in tokenizer.get_vocab().values()} - control) | {*tokenizer("")["input_ids"]}
    if read and max(read) >= width:
        token = tokenizer.convert_ids_to_tokens(max(read))
        raise PipelineError(
            f"{folder}: its tokenizer has ids up to {max(read)} ({token!r}), but vocab_size = {width} in config.json; "
            "the tokenizer is another model's"
        )
