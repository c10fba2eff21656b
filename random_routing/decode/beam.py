"""Beam search: Hugging Face's own, on the same batch-invariant model and padded prompts."""

from __future__ import annotations

from copy import copy
from typing import cast

import torch
from transformers import GenerationConfig

from random_routing.decode.forcing import Observed
from random_routing.decode.loop import decode
from random_routing.decode.prompts import Prompts
from random_routing.decode.trajectory import Trajectory
from random_routing.models.network import LanguageModel

GROUP_ROWS = 32


@torch.inference_mode()
def beam_search(
    model: LanguageModel, prompts: Prompts, beams: int, steps: int, stop: frozenset[int], batch_size: int
) -> list[Trajectory]:
    """The best of `beams` hypotheses for each text (length penalty 1, no early stopping).

    Log-probabilities are the model's own, from a teacher-forced pass; all routes are 0.
    """
    ids, padding = model.pad(prompts.ids, prompts.length)
    # Causal models give back the prompt, encoder-decoder models the ids that begin every target.
    begin = len(model.shape.decoder_start) or prompts.length
    settings = copy(cast(GenerationConfig, model.network.generation_config))  # neutral, see `load_model`
    settings.update(
        num_beams=beams,
        max_new_tokens=steps,
        length_penalty=1.0,
        early_stopping=False,
        eos_token_id=sorted(stop),
    )
    texts: list[list[int]] = [[] for _ in prompts.of_text]
    # A group runs until its longest text ends: few prompts at once, of like length; on a GPU always as many.
    at_once = -(-GROUP_ROWS // beams) if model.static else max(1, min(batch_size, GROUP_ROWS) // beams)
    order = sorted(range(len(texts)), key=lambda text: len(prompts.ids[int(prompts.of_text[text])]))
    for start in range(0, len(order), at_once):
        group = order[start : start + at_once]
        filled = group + group[:1] * (at_once - len(group)) if model.static else group
        read = torch.from_numpy(prompts.of_text[filled]).to(ids.device)
        output = model.network.generate(  # type: ignore[operator]
            input_ids=ids[read],
            attention_mask=padding[read],
            generation_config=settings,
        )
        for text, row in zip(group, output[: len(group), begin:].tolist(), strict=True):
            texts[text] = _until_stop(row, stop)
    scored = Observed(texts, stop, model.device)
    decode(model, prompts, scored, scored.steps, batch_size)
    return scored.made.texts()


def _until_stop(ids: list[int], stop: frozenset[int]) -> list[int]:
    end = next((i for i, token in enumerate(ids) if token in stop), len(ids) - 1)
    return ids[: end + 1]
