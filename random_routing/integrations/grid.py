"""A grid of decoders on prompts of one's own, in memory: `run_grid` gives a table of texts, without files or stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from huggingface_hub import snapshot_download

from random_routing.decode.trajectory import Trajectory
from random_routing.errors import PipelineError, SettingsError, short
from random_routing.integrations.asked import PLAUSIBLE, Grid, checked, listed
from random_routing.law.cells import Cell, Decoder, baseline_cell, distinct_decoder, mean_rate
from random_routing.law.vocabulary import sampling_vocabulary, stop_tokens
from random_routing.models.folder import load_tokenizer, read_shape
from random_routing.models.loading import load_model
from random_routing.runs.blocks import Ready, grouped, make_ready, run_unit, units
from random_routing.runs.calibration import (
    CALIBRATION_PROMPTS,
    bases_to_calibrate,
    with_frequencies,
    with_scales,
)
from random_routing.runs.packed_texts import cell_row
from random_routing.runs.plan import Job, Plan, Text, check_law
from random_routing.runs.tokenized import check_context, shared_prefix, tokenize_prompts
from random_routing.settings import Task, Variant
from random_routing.settings.checks import Name
from random_routing.settings.decoders import too_often
from random_routing.tasks import TASK_KINDS
from random_routing.tasks.example_ids import with_ids

TASK = "textgen"  # a prompt is text, and what follows goes on
WEIGHTS = ("*.safetensors", "*.json", "*.txt", "*.model")  # of a repository: nothing that runs


@dataclass(frozen=True)
class Asked(Grid):
    """What is checked of `run_grid`'s arguments, as of params.yaml."""

    variants: dict[Name, Variant]


def run_grid(
    model: str | Path,
    prompts: Sequence[str] | Mapping[str, str],
    *,
    q: float | Sequence[float] = (0,),
    lam: float | Sequence[float] = (0,),
    variants: Mapping[str, Any] | None = None,
    baselines: Mapping[str, Any] | None = None,
    samples: int = 1,
    max_new_tokens: int = 48,
    seed: int = 0,
    dtype: str = "float32",
    device: str = "auto",
    batch_size: int = 256,
    max_rows: int = 1024,
) -> pd.DataFrame:
    """A row per decoder, prompt and sample.

    model: a folder (safetensors), or name@revision of a repository on the Hugging Face hub. prompts: texts to go on
    from; with ids of their own, a mapping. q, lam: rates of the two routes, or one; every pair of them. variants,
    baselines: as in params.yaml, such as {"uniform": {"base": "sample", "q_route": "uniform",
    "lambda_route": "uniform"}} and {"greedy": True, "temperature": [0.7, 1.3]}; without variants, λ's route is one of
    the 20 likeliest tokens.

    The noise of a text depends on seed, prompt and sample alone, so that decoders are paired; its bytes on no batch.
    Columns: decoder, family, variant, q, lambda, r (share of random steps), setting, prompt, sample, text, tokens,
    random_tokens, logprob (nats, of all tokens, under the model itself), finish (eos or length).

    Raises `PipelineError` for a value that cannot be, a model that is not there, or a prompt beyond the context.
    """
    asked = _checked(
        q=listed(q), lam=listed(lam), variants=dict(variants or {"plausible": PLAUSIBLE}),
        baselines=dict(baselines or {}), samples=samples, max_new_tokens=max_new_tokens, seed=seed,
    )  # fmt: skip
    texts = with_ids(prompts)
    folder = _folder(model)
    tokenizer, shape = load_tokenizer(folder), read_shape(folder)
    task = Task(
        name=TASK, kind=TASK, model=str(model), judge="", data="", examples=len(texts), samples=samples,
        max_new_tokens=max_new_tokens, seed=seed,
    )  # fmt: skip
    rows = [{"id": name, "prompt": prompt, "meta": {}} for name, prompt in texts.items()]
    examples = tokenize_prompts(rows, tokenizer, TASK_KINDS[TASK].add_special_tokens)
    check_context("prompts", examples, task, shape)
    stop = stop_tokens(tokenizer, shape.eos, TASK_KINDS[TASK].stop_at_newline)
    vocabulary = sampling_vocabulary(tokenizer, shape.logits, stop, False, shape.barred)
    cells = _cells(asked, max_new_tokens)
    for cell in cells:
        check_law(cell, str(model), shape, vocabulary)
    cells, tables = with_frequencies(cells, list(texts.values()), tokenizer, vocabulary, TASK)
    plan = Plan(
        task=task, seed=seed, prefix=shared_prefix(examples, shape), vocabulary=vocabulary, examples=tuple(examples),
        cells=tuple(cells), independent=False, shared_key={"decoder_start": shape.decoder_start}, tables=tables,
        window=shape.window,
    )  # fmt: skip
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    ready = make_ready(partial(load_model, folder, dtype, device), plan.prefix)
    run = partial(_run, ready, batch_size=batch_size, max_rows=max_rows)
    plan = _calibrated(plan, run)
    made = run(plan, [text for job in plan.jobs() for text in plan.texts_of(job)])
    return _table(plan, made, tokenizer, texts)


def _checked(**arguments: Any) -> Asked:
    asked = checked(Asked, **arguments)
    for name, variant in asked.variants.items():
        for route, gate, schedule, rates in (
            ("q", variant.q_gate, variant.q_schedule, variant.q or asked.q),
            ("lambda", variant.lambda_gate, variant.lambda_schedule, variant.lambdas or asked.lam),
        ):
            for rate in rates:
                if why := too_often(gate, schedule, rate):
                    raise SettingsError(f"variants.{name}.{route}_gate.span = {gate.mean:g}: {why}")
    return asked


def _folder(model: str | Path) -> Path:
    if Path(model).is_dir():
        return Path(model)
    name, _, revision = str(model).partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=list(WEIGHTS)))
    except (OSError, ValueError) as error:  # no such repository, no network, a name that cannot be
        raise PipelineError(
            f"model {model}: is no folder, and the hub does not give it ({short(error)})"
        ) from None


def _cells(asked: Asked, steps: int) -> list[Cell]:
    cells = [
        baseline_cell(family, base, steps) for family, bases in asked.baselines.items() for base in bases
    ]
    for name, variant in asked.variants.items():
        for q in variant.q or asked.q:
            for lam in variant.lambdas or asked.lam:
                decoder, r = distinct_decoder(variant, q, lam), mean_rate(variant, q, lam, steps)
                cells.append(
                    Cell(f"routing-{name}-q{q:.12g}-l{lam:.12g}", "routing", decoder, name, q, lam, r)
                )
    return cells


def _run(
    ready: Ready, plan: Plan, texts: Sequence[Text], batch_size: int, max_rows: int
) -> dict[bytes, Trajectory]:
    made: dict[bytes, Trajectory] = {}
    with torch.inference_mode():
        for unit in units(grouped(texts), max_rows):
            made |= run_unit(ready, unit, lambda delivered: None, plan, batch_size)[0]
    return made


def _calibrated(plan: Plan, run: Any) -> Plan:
    """With the scales of entropy gates, from texts without routes after the first prompts, as in the stages."""
    entropies = {}
    for base in bases_to_calibrate(plan.cells):
        texts = plan.texts(Job(Decoder(base), ""), plan.examples[:CALIBRATION_PROMPTS], samples=1)
        made = run(plan, texts)
        entropies[base] = np.concatenate([made[text.key].entropies for text in texts])
    return (
        replace(plan, cells=tuple(with_scales(plan.cells, entropies, plan.vocabulary)))
        if entropies
        else plan
    )


def _table(
    plan: Plan, made: Mapping[bytes, Trajectory], tokenizer: Any, prompts: Mapping[str, str]
) -> pd.DataFrame:
    rows = []
    for cell in plan.cells:
        about = {
            "decoder": cell.name, "family": cell.family, "variant": cell.variant, "q": cell.q, "lambda": cell.lam,
            "r": cell.r, "setting": cell.setting,
        }  # fmt: skip
        for text in plan.texts_of(plan.job_of(cell)):
            row = cell_row(text, made[text.key], tokenizer, plan)
            rows.append(
                {
                    **about, "prompt": prompts[text.example.id], "sample": text.sample, "text": row["text"],
                    "tokens": len(row["token_ids"]), "random_tokens": int(np.count_nonzero(row["routes"])),
                    "logprob": float(np.sum(row["model_logprobs"], dtype=np.float64)), "finish": row["finish"],
                }
            )  # fmt: skip
    return pd.DataFrame(rows)
