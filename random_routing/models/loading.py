"""Reading a model's folder: configuration, tokenizer, weights. Nothing in it is ever run as code."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer

from random_routing.errors import PipelineError, short
from random_routing.files import check_asset
from random_routing.models.generation_config import barred, neutral, own_generation, switched_off
from random_routing.models.invariant import make_invariant
from random_routing.models.kinds import Kind, check_width, kind_of
from random_routing.models.network import (
    CausalModel,
    EncoderDecoderModel,
    LanguageModel,
    Shape,
    experts_of,
    heads_of,
    window_of,
)
from random_routing.models.probe import check_decodes


def read_config(folder: str | Path) -> Any:
    """Raises `PipelineError` when the folder holds no model configuration."""
    check_asset(folder, weights=False)
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(f"{folder}: no usable model configuration ({error})") from None


def check_model(folder: str | Path) -> Kind:
    """What a language model must be to write or to judge, seen without its weights. Raises `PipelineError`."""
    kind = kind_of(folder, read_config(folder))
    check_width(folder, kind.width, load_tokenizer(folder))
    return kind


def read_shape(folder: str | Path, target_code: str = "") -> Shape:
    """target_code: the target language of a multilingual translation model, which forces its first token.

    Raises `PipelineError` when the folder holds no model configuration, or no such language.
    """
    config = read_config(folder)
    text = config if config.is_encoder_decoder else config.get_text_config()
    generation = own_generation(Path(folder), config)
    forced = _language_id(folder, target_code) if target_code else generation.forced_bos_token_id
    start = (generation.decoder_start_token_id, forced)
    # T5's relative positions have no end; tests of a length are left to the model.
    context = getattr(text, "max_position_embeddings", None) or 2**31
    layers = getattr(text, "decoder_layers", None) or getattr(text, "num_decoder_layers", None)
    return Shape(
        context=context,
        logits=getattr(text, "decoder_vocab_size", None) or text.vocab_size,
        layers=layers or text.num_hidden_layers,
        eos=generation.eos_token_id,
        inputs=text.vocab_size,
        heads=heads_of(config),
        experts=experts_of(config),
        window=window_of(text),
        counts_from_the_end="local" in (getattr(text, "attention_layers", None) or ()),
        is_encoder_decoder=bool(config.is_encoder_decoder),
        decoder_start=tuple(i for i in start if i is not None) if config.is_encoder_decoder else (),
        barred=barred(generation),
        switched_off=switched_off(generation),
    )


def _language_id(folder: str | Path, code: str) -> int:
    tokenizer = load_tokenizer(folder)
    if code in tokenizer.get_vocab():  # NLLB: eng_Latn
        return int(tokenizer.convert_tokens_to_ids(code))
    raise PipelineError(
        f"{folder}: its tokenizer has no token {code!r}; correct tasks.translation.target_code"
    )


def load_tokenizer(folder: str | Path, source_code: str = "") -> Any:
    """source_code: the language that a multilingual translation model's tokenizer is told to expect.

    Raises `PipelineError` when the folder is missing or holds no tokenizer.
    """
    check_asset(folder, weights=False)
    files = sorted(path for path in Path(folder).glob("*") if path.suffix != ".safetensors")
    changed = tuple((path.name, path.stat().st_ctime_ns) for path in files)
    try:
        return _tokenizer(Path(folder).resolve(), source_code, changed)
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(f"{folder}: no usable tokenizer ({error})") from None


@lru_cache(maxsize=8)
def _tokenizer(folder: Path, source_code: str, changed: tuple[tuple[str, int], ...]) -> Any:
    """Read once as long as the files stay: one of 260,000 tokens takes five seconds."""
    languages = {"src_lang": source_code} if source_code else {}
    return AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, **languages
    )


def load_weights(kind: Any, folder: str | Path, what: str, **options: Any) -> Any:
    """A network from safetensors: kind is an auto class of transformers. Raises `PipelineError`, also where the
    file lacks weights, which transformers would make up; a pooler is not used here.
    """
    for weights in (False, True):
        check_asset(folder, weights)
    try:
        network, info = kind.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, UnpicklingError) as error:
        raise PipelineError(f"{folder}: no usable {what} ({short(error)})") from None
    missing = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise PipelineError(
            f"{folder}: no usable {what} ({len(missing)} weights are missing, {missing[0]} among them)"
        )
    for name, values in network.named_parameters():
        # One pass over them, and NaN is the least and the largest of any.
        if (
            values.is_floating_point()
            and values.numel()
            and not torch.stack(values.aminmax()).isfinite().all()
        ):
            raise PipelineError(f"{folder}: no usable {what} ({name} holds NaN or infinite weights)")
    return network


def has_bfloat16() -> bool:
    """Whether an x86 processor multiplies bf16 itself; on other processors that is for the user to know."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def load_model(
    folder: str | Path,
    dtype: str = "float32",
    device: str = "cpu",
    target_code: str = "",
    invariant: bool = True,
) -> LanguageModel:
    """Load safetensors and tokenizer from a folder; those of an asset are what was fetched.

    `invariant=False` leaves the multiplications to the default library, whose fp32 results change
    with the batch; it exists so that tests can see the difference. Raises `PipelineError`.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise PipelineError("params.yaml: device = 'cuda': no GPU that torch can use is here; use cpu")
    if device == "cpu" and dtype == "bfloat16" and not has_bfloat16():
        raise PipelineError(
            "params.yaml: dtype = 'bfloat16': this processor has no bf16 instructions; it would be slow, and "
            "results would change with the batch; use float32"
        )
    kind, shape, tokenizer = check_model(folder), read_shape(folder, target_code), load_tokenizer(folder)
    if device == "cuda" and shape.counts_from_the_end:
        raise PipelineError(
            f"{folder}/config.json: attention_types: a local window of the library's own attention is counted from the "
            "end of the cache, which has a fixed length on a GPU; use device: cpu"
        )
    # fp32 sdpa would change with the key length
    network = load_weights(
        kind.loader,
        folder,
        "language model",
        dtype=getattr(torch, dtype),
        attn_implementation=kind.attention,
    )
    network.generation_config = neutral(shape)
    if hasattr(network.config, "_experts_implementation"):
        network.set_experts_implementation("eager")  # each expert's rows by themselves
    network.eval().requires_grad_(False).to(device)
    if invariant:
        make_invariant(network)
    made = EncoderDecoderModel if shape.is_encoder_decoder else CausalModel
    model = made(Path(folder).name, network, tokenizer, shape, device)
    check_decodes(model)
    return model
