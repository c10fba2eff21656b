"""The loop to beat: Hugging Face `generate` with a mixing logits processor, one cell at a time."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LogitsProcessor, LogitsProcessorList

from random_routing.law.mixing import mix


class MixingProcessor(LogitsProcessor):
    """log P with P = r·uniform + (1 − r)·p: the law of the variant `uniform`."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        p = torch.softmax(scores, dim=-1)  # (B, V)
        return mix(p, torch.full_like(p, 1 / p.shape[1]), self.rate).log()


def load(folder: Path, dtype: str) -> torch.nn.Module:
    """The model as the library loads it: its own attention and products."""
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True
    ).eval()


@torch.inference_mode()
def tokens_per_second(
    network: torch.nn.Module, ids: Tensor, padding: Tensor, steps: int, stop: list[int]
) -> float:
    """Tokens per second, up to each text's end, for one cell on the prompts ids (B, P)."""
    torch.manual_seed(0)  # `generate` knows no other noise
    started = time.perf_counter()
    output = network.generate(  # type: ignore[operator]
        input_ids=ids,
        attention_mask=padding,
        max_new_tokens=steps,
        do_sample=True,
        top_k=0,
        top_p=1.0,
        temperature=1.0,
        logits_processor=LogitsProcessorList([MixingProcessor(0.1)]),
        eos_token_id=stop,
        pad_token_id=0,
    )[:, ids.shape[1] :]
    seconds = time.perf_counter() - started
    ended = torch.isin(output, torch.tensor(stop, device=output.device)).long()
    before_end = (ended.cumsum(1) - ended) == 0  # (B, T): up to and with the stop token
    return float(before_end.sum()) / seconds
