"""The processor under the pipeline's own noise writes the pipeline's own texts, token by token."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from pydantic import TypeAdapter
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from pipeline import generate, prepare
from random_routing import (
    Gate,
    RandomRoutingLogitsProcessor,
    Route,
    Schedule,
    Source,
    run_grid,
    vocabulary_of,
)
from random_routing.files import read_jsonl
from random_routing.integrations.custom_generate import REPOSITORY, routed
from random_routing.runs.tokenized import tokenize_prompts
from random_routing.settings import Variant
from random_routing.tasks import TASK_KINDS
from tests.helpers.tiny import byte_tokenizer, tiny_model_folder
from tests.helpers.workspace import inside, params, write_params

STEPS, SAMPLES = 12, 2
VARIANTS: dict[str, dict[str, Any]] = {
    "token": {"q_route": "uniform", "lambda_route": {"top_k": 5}},
    "span": {"q_route": "uniform", "lambda_route": {"top_k": 5}, "q_gate": {"span": 2}, "lambda_gate": {"span": 4}},
    "sequence": {"q_route": "uniform", "lambda_route": "frozen", "q_gate": "sequence", "lambda_gate": "sequence"},
    "collapsed": {
        "q_route": "uniform", "lambda_route": "uniform", "q_gate": "sequence", "lambda_gate": "sequence"
    },
    "first": {"q_route": "uniform", "lambda_route": {"top_k": 5}, "lambda_schedule": "explore_first"},
    "falling": {
        "base": {"top_p": 0.9}, "q_route": {"top_k": 3}, "lambda_route": "uniform", "q_gate": {"span": 3},
        "q_schedule": {"shape": "cosine", "start": 1, "end": 0.2, "length": 5}, "lambda_gate": "sequence",
        "lambda_schedule": "explore_first",
    },
    "entropy": {"base": "greedy", "q_route": "uniform", "lambda_route": {"top_k": 5}, "q_gate": "entropy"},
}  # fmt: skip


@pytest.fixture(scope="module")
def made(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the texts of the stages under all variants."""
    folder = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("variants") / "work"))
    values = params(steps=STEPS)
    values["variants"] = {name: {"base": "sample", **variant} for name, variant in VARIANTS.items()}
    values["grid"] = {"q": [0, 0.4], "lambda": [0, 0.3]}
    values["tasks"]["textgen"]["samples"] = SAMPLES
    values["seed"], values["tune"]["variants"] = 5, "all"
    write_params(folder, values)
    with inside(folder):
        prepare.main(["textgen"])
        generate.main(["textgen"])
    return folder


@pytest.fixture(scope="module")
def parts(made: Path) -> tuple[Any, Any, dict[str, tuple[int, ...]]]:
    """Model and tokenizer of plain transformers, and the token ids of each prompt."""
    folder = made / "data/assets/one"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = read_jsonl(made / "data/prepared/textgen.jsonl")
    examples = tokenize_prompts(rows, tokenizer, TASK_KINDS["textgen"].add_special_tokens)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    return model, tokenizer, {example.id: example.prompt for example in examples}


def written(made: Path, name: str) -> tuple[dict[str, Any], dict[tuple[str, int], dict[str, Any]]]:
    """The cell as its file describes it; example and sample → its text's row."""
    table = pq.read_table(made / f"data/generations/textgen/{name}.parquet")
    cell = json.loads(table.schema.metadata[b"cell"])["cell"]
    return cell, {(row["example_id"], row["sample"]): row for row in table.to_pylist()}


def differing(
    made: Path, parts: tuple[Any, Any, dict[str, tuple[int, ...]]], name: str, seed: int = 5
) -> tuple[int, int]:
    """Texts of a cell that the recipe's own differ from, and tokens of random routes in them."""
    model, tokenizer, prompts = parts
    cell, rows = written(made, name)
    law = {"base": "sample", **VARIANTS[cell["variant"]], "q": cell["q"], "lambda_": cell["lam"]}
    if law.get("q_gate") == "entropy" and cell["q"]:
        law |= {"q": 1, "q_gate": Gate("entropy", scale=cell["decoder"]["q_gate"]["scale"])}
    if law.get("q_gate") == "entropy" and not cell["q"]:
        del law["q_gate"]
    wrong = random = 0
    for example, ids in prompts.items():
        output = model.generate(
            torch.tensor([ids] * SAMPLES), custom_generate=REPOSITORY, trust_remote_code=True, tokenizer=tokenizer,
            max_new_tokens=STEPS, pad_token_id=0, **law,
            sources=[Source(seed, "textgen", example, sample) for sample in range(SAMPLES)],
        ).tolist()  # fmt: skip
        for sample in range(SAMPLES):
            row = rows[example, sample]
            wrong += output[sample][len(ids) :][: len(row["token_ids"])] != row["token_ids"]
            random += int(np.count_nonzero(row["routes"]))
    return wrong, random


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_token_is_the_pipeline_s(made: Path, parts: Any, variant: str) -> None:
    """8 texts of 12 tokens for each pair of rates; with routes some tokens are random ones."""
    for q, lam in ((0, 0), (0.4, 0), (0, 0.3), (0.4, 0.3)):
        wrong, random = differing(made, parts, f"routing-{variant}-q{q}-l{lam}")
        assert wrong == 0 and (random > 0) == (q + lam > 0), (q, lam)


def test_other_noise_gives_other_texts(made: Path, parts: Any) -> None:
    assert differing(made, parts, "routing-span-q0.4-l0.3", seed=6)[0] == 8


@pytest.mark.parametrize("variant", ["sequence", "span", "falling"])
def test_the_closed_form_has_the_pipeline_s_gates(made: Path, parts: Any, variant: str) -> None:
    """Along texts that the processor draws with its own sources, and again without `sources`: with equal gates the
    law is that of δ_q, of δ_λ or of p alone, as the origin says, and the token that was drawn is possible."""
    model, tokenizer, prompts = parts
    law = TypeAdapter(Variant).validate_python({"base": "sample", **VARIANTS[variant]})
    settings: dict[str, Any] = {
        name: getattr(law, name) for name in
        ("base", "q_route", "lambda_route", "q_gate", "lambda_gate", "q_schedule", "lambda_schedule")
    } | {"q": 0.4, "lam": 0.3, "max_new_tokens": STEPS}  # fmt: skip
    vocabulary, rows = vocabulary_of(model, tokenizer), 30
    drawing = RandomRoutingLogitsProcessor(
        vocabulary, **settings, sources=[Source(8, "processor", "", row) for row in range(rows)]
    )
    ids = torch.tensor([next(iter(prompts.values()))] * rows)
    kept: list[torch.Tensor] = []

    def keep(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        kept.append(scores.clone())
        return scores

    output = model.generate(
        ids, logits_processor=[keep, drawing], do_sample=False, max_new_tokens=STEPS, min_new_tokens=STEPS,
        pad_token_id=0,
    )  # fmt: skip
    assert drawing.pipeline is not None
    origins = drawing.pipeline.sampler.made.routes  # (rows, STEPS)
    given = RandomRoutingLogitsProcessor(vocabulary, **settings, seed=8)
    alone = [
        RandomRoutingLogitsProcessor(vocabulary, **(settings | {"q": 0.0, "lam": 0.0}), seed=8),
        RandomRoutingLogitsProcessor(vocabulary, q=1.0, q_route=law.q_route, seed=8),
        RandomRoutingLogitsProcessor(vocabulary, lam=1.0, lambda_route=law.lambda_route, seed=8),
    ]
    seen = set()
    for step, scores in enumerate(kept):
        before = output[:, : ids.shape[1] + step]
        found, expected = given(before, scores).exp(), [one(before, scores).exp() for one in alone]
        for row, origin in enumerate(origins[:, step].tolist()):
            seen.add(origin)
            assert torch.allclose(found[row], expected[origin][row], atol=1e-6), (row, step)
            assert found[row, output[row, ids.shape[1] + step]] > 0
    assert seen == {0, 1, 2}


def test_the_function_and_an_encoder_decoder_too(tmp_path: Path) -> None:
    """`run_grid`'s texts: λ falls to 0 at the last token, in spans. A start token comes before the first one."""
    folder = tiny_model_folder(tmp_path / "marian", "marian")
    model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    model.generation_config.forced_eos_token_id = None  # the pipeline forces no token
    gates = {"lambda_gate": {"span": 2}, "lambda_schedule": {"shape": "linear", "start": 0.9, "end": 0}}
    routes = {"q_route": "uniform", "lambda_route": {"top_k": 5}}
    table = run_grid(
        folder, {"a": "rain and trade", "b": "many towns"}, q=[0.1], lam=[0.6],
        variants={"v": {"base": "sample", **routes, **gates}}, max_new_tokens=STEPS, seed=3,
    )  # fmt: skip
    tokenizer = byte_tokenizer()
    for example, prompt, text in zip(("a", "b"), table["prompt"], table["text"], strict=True):
        output = model.generate(
            **tokenizer(prompt, return_tensors="pt"), custom_generate=routed, do_sample=True, num_beams=1, top_k=0,
            vocabulary=vocabulary_of(model, tokenizer), q=0.1, lambda_=0.6, max_new_tokens=STEPS, q_route="uniform",
            lambda_gate=Gate("span", 2.0), lambda_schedule=Schedule("linear", 0.9, 0.0),
            lambda_route=Route("top_k", k=5), sources=[Source(3, "textgen", example, 0)],
        )  # fmt: skip
        own = tokenizer.batch_decode(output, skip_special_tokens=True)
        assert [one.strip() for one in own] == [text.strip()]
