"""Evaluation on a GPU beside generation: the judge, the likelihood of people's texts, the embedder."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import BertConfig, BertModel

from benchmarks.gpu_device import TASK, Device, one_text_a_prompt
from benchmarks.workload import Workload, prepared, without_beam, workload
from random_routing.decode.forcing import score
from random_routing.decode.loop import decode
from random_routing.decode.prompts import Prompts
from random_routing.models.loading import load_model
from random_routing.models.network import LanguageModel
from random_routing.runs.blocks import grouped, make_ready, run_block, units
from random_routing.scoring.embedding import Embedder
from random_routing.scoring.forced_laws import SCORE_ROUTES, Law, Recorder

Texts = dict[tuple[Any, tuple[int, ...]], list[int]]  # distinct prompt and tokens → the tokens
# Of MiniLM.
SHAPE: dict[str, Any] = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12}


def judge(on: Device) -> dict[str, Any]:
    """Seconds in which the grid's texts are made, and in which distinct ones are scored by the same model and embedded
    by one of MiniLM's shape, and people's texts are read under every law.
    """
    settings, dtype = one_text_a_prompt(), on.dtypes[0]
    work = workload(settings, TASK, without_beam(settings, TASK), on.examples(dtype))
    model = load_model(work.folder, dtype, on.name)
    made, seconds = timed(on, lambda: make(on, model, work))
    prompts = Prompts.of([prompt for prompt, _ in made], max(len(prompt) for prompt, _ in made))
    (found, _), scored = timed(on, lambda: score(model, prompts, list(made.values()), on.sizes.batch))
    other, _ = score(model, prompts, list(made.values()), on.sizes.checked[1])
    _, read = timed(on, lambda: people(on, model, work))
    texts = [model.tokenizer.decode(ids) for ids in made.values()]
    return {
        "texts": len(work.texts),
        "distinct": len(made),
        "made_seconds": seconds,
        "scored_seconds": scored,
        "people_seconds": read,
        "embedded_seconds": embedded(on, model.tokenizer, texts),
        "other_bits": sum(not np.array_equal(a, b) for a, b in zip(found, other, strict=True)),
    }


def timed(on: Device, function: Callable[[], Any]) -> tuple[Any, float]:
    """Its result and seconds; on a GPU of the second time, because the first captures graphs."""
    if on.name == "cuda":
        function()
    on.wait()
    began = time.perf_counter()
    result = function()
    on.wait()
    return result, time.perf_counter() - began


def make(on: Device, model: LanguageModel, work: Workload) -> Texts:
    """The distinct texts."""
    ready, made = make_ready(lambda: model, work.plan.prefix), Texts()
    for block in units(grouped(work.texts), 2**20):
        texts, _ = run_block(ready, work.plan, block, on.sizes.batch)
        for text in block:
            ids = texts[text.key].token_ids.tolist()
            made[text.example.prompt, tuple(ids)] = ids
    return made


def people(on: Device, model: LanguageModel, work: Workload) -> None:
    """p and δ of each token of people's texts under every law that has a closed form."""
    tokenizer, rows = prepared(TASK, len(work.plan.examples))
    texts = [tokenizer(row["references"][0])["input_ids"] for row in rows[: len(work.plan.examples)]]
    prompts = [example.prompt for example in work.plan.examples]
    variants = one_text_a_prompt().variants.values()
    pairs = [
        (variant.base, route) for variant in variants for route in (variant.q_route, variant.lambda_route)
    ]
    laws = [Law(base, route) for base, route in dict.fromkeys(pairs) if route.kind in SCORE_ROUTES]
    tables = {replace(route, digest=""): table for route, table in work.plan.tables.items()}
    recorder = Recorder(texts, laws, work.plan.vocabulary, tables, on.name)
    decode(model, Prompts.of(prompts, max(map(len, prompts))), recorder, recorder.steps, on.sizes.batch)


def embedded(on: Device, tokenizer: Any, texts: list[str]) -> float:
    with tempfile.TemporaryDirectory() as name:
        config = BertConfig(vocab_size=len(tokenizer), intermediate_size=1_536, **SHAPE)
        BertModel(config).save_pretrained(name)
        tokenizer.save_pretrained(name)
        embedder = Embedder(Path(name), on.name)
        embedder(texts[:2])
        return timed(on, lambda: embedder(texts))[1]
