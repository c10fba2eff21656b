"""A model from its folder, ready to run. Nothing in the folder is ever run as code."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError

from random_routing.errors import PipelineError, short
from random_routing.files import check_asset
from random_routing.models.attention import NAME
from random_routing.models.decode_check import check_decodes, check_same_bits
from random_routing.models.folder import check_model, is_served, load_tokenizer, read_shape
from random_routing.models.generation_config import neutral
from random_routing.models.invariant import make_invariant
from random_routing.models.network import CausalModel, EncoderDecoderModel, LanguageModel
from random_routing.models.served import load_served

ATTENTIONS = (NAME, "eager")  # the best first; some models take the library's alone


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
        numbers = values.is_floating_point() and values.numel()
        if numbers and not torch.stack(values.aminmax()).isfinite().all():
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
    labels: Sequence[str] = (),
) -> LanguageModel:
    """Load safetensors and tokenizer from a folder; those of an asset are what was fetched. Or reach its server.

    labels: of the task, as `read_shape` takes them.

    `invariant=False` leaves multiplications and attention to the default libraries, whose fp32 results change
    with the batch; it exists so that tests can see the difference. Raises `PipelineError`.
    """
    if is_served(folder):
        return load_served(folder, device, labels)
    if device == "cuda" and not torch.cuda.is_available():
        raise PipelineError("params.yaml: device = 'cuda': no GPU that torch can use is here; use cpu")
    if device == "cpu" and dtype == "bfloat16" and not has_bfloat16():
        raise PipelineError(
            "params.yaml: dtype = 'bfloat16': this processor has no bf16 instructions; it would be slow, and "
            "results would change with the batch; use float32"
        )
    if (
        device == "cuda"
        and dtype == "bfloat16"
        and not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        raise PipelineError(
            f"params.yaml: dtype = 'bfloat16': {torch.cuda.get_device_name()} has no bf16 instructions; use float32"
        )
    kind = check_model(folder, ATTENTIONS)
    shape, tokenizer = read_shape(folder, target_code, labels), load_tokenizer(folder)
    if device == "cuda" and shape.counts_from_the_end:
        raise PipelineError(
            f"{folder}/config.json: attention_types: a local window of the library's own attention is counted from the "
            "end of the cache, which has a fixed length on a GPU; use device: cpu"
        )
    if device == "cuda" and shape.experts:
        raise PipelineError(
            f"{folder}/config.json: on a GPU a product of few rows is rounded otherwise, and an expert is sent as many "
            "rows as come; use device: cpu"
        )
    attention = kind.attention if invariant else ATTENTIONS[-1]
    if device == "cuda" and dtype == "float32" and invariant and attention != NAME:
        raise PipelineError(
            f"{folder}/config.json: in float32 on a GPU the library's own attention, which this model needs, changes "
            "with the batch; use dtype: bfloat16 or device: cpu"
        )
    # fp32 sdpa would change with the key length
    network = load_weights(
        kind.loader,
        folder,
        "language model",
        dtype=getattr(torch, dtype),
        attn_implementation=attention,
    )
    network.generation_config = neutral(shape)
    if hasattr(network.config, "_experts_implementation"):
        network.set_experts_implementation("eager")  # each expert's rows by themselves
    try:
        network.eval().requires_grad_(False).to(device)
    except torch.OutOfMemoryError:
        raise PipelineError(
            f"{folder}: its weights do not fit into the free memory of the GPU; use device: cpu"
        ) from None
    if invariant:
        make_invariant(network)
    model_class = EncoderDecoderModel if shape.is_encoder_decoder else CausalModel
    model = model_class(Path(folder).name, network, tokenizer, shape, device)
    check_decodes(model)
    if model.static and invariant:
        check_same_bits(model)
    return model
