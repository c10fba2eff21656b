"""A loaded model decodes a few tokens as every run does, against one plain call of the library.

An error in what it keeps between steps, in left padding, in the fork of a row or in the width of its logits does not
depend on the texts, so it is found before the first example.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from random_routing.errors import PipelineError, short
from random_routing.models.memory import out_of_memory
from random_routing.models.network import LanguageModel
from random_routing.models.shared import prefill_rows

LENGTH = 8  # positions that the prompts are padded to
MANY, FEW = 200, 20  # rows
# Largest difference of the logits, in units of their spread: rounding is far below, other attention far above.
TOLERANCE = {torch.float32: 0.02, torch.bfloat16: 0.5}


@torch.inference_mode()
def check_decodes(model: LanguageModel) -> None:
    """Raises `PipelineError` that names the model where a step with the cache is no step of the model."""
    try:
        logits, expected = _decoded(model), _plain(model)
    except PipelineError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        why = short(f"{type(error).__name__}: {error}")
        instead = "; use device: cpu" if model.static else ""
        raise PipelineError(
            f"{model.name}: {type(model.network).__name__} cannot be decoded ({why}){instead}"
        ) from None
    if logits.shape[1] != model.shape.logits:
        raise PipelineError(
            f"{model.name}: its logits have {logits.shape[1]} tokens, its config.json says {model.shape.logits}"
        )
    if not logits.amax(1).isfinite().all():
        raise PipelineError(f"{model.name}: its logits are not finite (NaN or infinite)")
    written = expected.isfinite()
    spread = expected[written].std().clamp(min=1e-6)
    gap = float((logits - expected)[written].abs().max() / spread)
    if gap > TOLERANCE[next(model.network.parameters()).dtype]:
        raise PipelineError(
            f"{model.name}: {type(model.network).__name__} cannot be decoded (a step with the key/value cache gives "
            f"other logits than the whole text, by {gap:.2g} of their spread)"
        )


@torch.inference_mode()
def check_same_bits(model: LanguageModel) -> None:
    """Raises `PipelineError` that names the model where a row has other logits beside more rows: for a GPU, whose
    libraries choose their routines by the number of rows.
    """
    many, few = (_two_steps(model, rows) for rows in (MANY, FEW))
    if not torch.equal(many[:FEW], few):
        raise PipelineError(
            f"{model.name}: {type(model.network).__name__} gives a row other bits beside more rows on this GPU; use "
            "device: cpu"
        )


def _two_steps(model: LanguageModel, rows: int) -> Tensor:
    """Logits (rows, V) of the second token after as many prompts."""
    width = min(model.shape.logits, len(model.tokenizer))
    ids = [[(width * i // MANY + 7 * place) % width for place in range(3 + i % 5)] for i in range(rows)]
    fed, padding = model.pad(ids, LENGTH)
    cache = model.new_cache(rows, LENGTH, 2)
    at_once = prefill_rows(LENGTH)
    for start in range(0, rows, at_once):
        stop = min(rows, start + at_once)
        cache.cover(start, stop, 0)
        model.start(fed[start:stop], padding[start:stop], cache)
    cache.fork(torch.arange(rows, device=model.device), 0)
    cache.cover(0, rows, 1)
    return model.step(fed[:, -1:].contiguous(), padding, 1, cache).clone()


def _prompts(model: LanguageModel) -> list[list[int]]:
    """Two of different length, of ids spread over the vocabulary."""
    width = min(model.shape.logits, len(model.tokenizer))
    ids = [width * i // 7 for i in range(1, 7)]
    return [ids[:3], ids[1:]]


NEXT = (2, 1, 0)  # what rows 0 and 1, and a copy of row 0, go on with: places in the first prompt


def _decoded(model: LanguageModel) -> Tensor:
    """Logits (3, V) of the second token: of both prompts, and of a fork of the first."""
    prompts = _prompts(model)
    ids, padding = model.pad(prompts, LENGTH)
    cache = model.new_cache(4, LENGTH, 2)
    cache.cover(0, 2, 0)
    model.start(ids, padding, cache)
    parent = torch.tensor([0, 1, 0], device=model.device)
    child_of = cache.fork(parent, 0).argsort()  # the child in each slot
    cache.cover(0, 3, 1)
    tokens = torch.tensor([[prompts[0][place]] for place in NEXT], device=model.device)
    return (
        model.step(tokens[child_of], padding[parent[child_of]], 1, cache)[child_of.argsort()].float().cpu()
    )


def _plain(model: LanguageModel) -> Tensor:
    """The same by the library alone: a call per row, no cache, no padding, its own attention."""
    prompts, network = _prompts(model), model.network
    rows, attention = [], network.config._attn_implementation  # type: ignore[union-attr]
    network.set_attn_implementation("eager")  # type: ignore[operator]
    for prompt, place in zip([prompts[0], prompts[1], prompts[0]], NEXT, strict=True):
        token, start = prompts[0][place], model.shape.decoder_start
        inputs: dict[str, Any] = {"input_ids": prompt if start else [*prompt, token]}
        if start:
            inputs["decoder_input_ids"] = [*start, token]
        inputs = {name: torch.tensor([ids] * 2, device=model.device) for name, ids in inputs.items()}
        rows.append(model.next_logits(network(**inputs, use_cache=False).logits)[0])
    network.set_attn_implementation(attention)  # type: ignore[operator]
    return torch.stack(rows).float().cpu()
