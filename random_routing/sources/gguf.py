"""GGUF → safetensors and tokenizer files, once, so that a model loads in about a second."""

from __future__ import annotations

import struct
from pathlib import Path

from random_routing.errors import PipelineError


def convert_gguf(gguf: Path, target: Path) -> None:
    """Unpack the quantised weights to fp32 in `target` and remove `gguf`. Raises `PipelineError`.

    `dequantize=True`: otherwise the weights stay packed, which is slow, and the saved configuration
    names a quantisation.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.quantization_config import GgufConfig

    try:
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
        )
        tokenizer = AutoTokenizer.from_pretrained(
            gguf.parent, gguf_file=gguf.name, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, NotImplementedError, struct.error) as error:
        raise PipelineError(f"{gguf.name}: cannot be converted ({error})") from None
    model.config.name_or_path = ""  # else a temporary path could be saved
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    gguf.unlink()
