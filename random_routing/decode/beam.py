"""Beam search: Hugging Face's own, on the same batch-invariant model and padded prompts."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import cast

import numpy as np
import torch
from transformers import GenerationConfig

from random_routing.decode.forcing import Observed, force
from random_routing.decode.members import Trajectory
from random_routing.models.network import LanguageModel

GROUP_ROWS = 32


@torch.inference_mode()
def beam_search(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    beams: int,
    steps: int,
    stop: frozenset[int],
    prompt_length: int,
    batch_size: int,
) -> list[Trajectory]:
    """The best of `beams` hypotheses of each prompt (length penalty 1, no early stopping).

    Log-probabilities are the model's own, from a teacher-forced pass; all routes are 0.
    """
    ids, padding = model.pad(prompts, prompt_length)
    # Causal models give back the prompt, encoder-decoder models the ids that begin every target.
    begin = len(model.shape.decoder_start) or prompt_length
    settings = copy(cast(GenerationConfig, model.network.generation_config))  # neutral, see `load_model`
    settings.update(
        num_beams=beams,
        max_new_tokens=steps,
        length_penalty=1.0,
        early_stopping=False,
        eos_token_id=sorted(stop),
    )
    texts: list[list[int]] = [[] for _ in prompts]
    # A group runs until its longest text ends: few prompts at once, of like length.
    at_once = max(1, min(batch_size, GROUP_ROWS) // beams)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for start in range(0, len(prompts), at_once):
        group = order[start : start + at_once]
        output = model.network.generate(  # type: ignore[operator]
            input_ids=ids[group].to(model.device),
            attention_mask=padding[group].to(model.device),
            generation_config=settings,
        )
        for i, row in zip(group, output[:, begin:].tolist(), strict=True):
            texts[i] = _until_stop(row, stop)
    scored = Observed(texts)
    force(model, prompts, np.arange(len(prompts)), scored, prompt_length, batch_size)
    return [
        Trajectory(
            token_ids=np.array(text, dtype=np.int32),
            routes=np.zeros(len(text), dtype=np.int8),
            logprobs=scored.logprobs[i, : len(text)].copy(),
            model_logprobs=scored.logprobs[i, : len(text)].copy(),
            ranks=scored.ranks[i, : len(text)].copy(),
            entropies=scored.entropies[i, : len(text)].copy(),
            ended=text[-1] in stop,
        )
        for i, text in enumerate(texts)
    ]


def _until_stop(ids: list[int], stop: frozenset[int]) -> list[int]:
    end = next((i for i, token in enumerate(ids) if token in stop), len(ids) - 1)
    return ids[: end + 1]
