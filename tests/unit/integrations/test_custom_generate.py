"""`generate(custom_generate=…)`: the recipe and the function follow the law, and say what they cannot take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import AutoModelForCausalLM, AutoTokenizer

from random_routing import Route, vocabulary_of
from random_routing.integrations.custom_generate import REPOSITORY, routed
from tests.helpers.tiny import tiny_model_folder

Q, LAM, K, DRAWS = 0.2, 0.3, 4, 20_000


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Any]:
    folder = tiny_model_folder(tmp_path_factory.mktemp("model") / "one")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    return model, tokenizer, tokenizer("rain and trade", return_tensors="pt")


def recipe(parts: tuple[Any, Any, Any], **given: Any) -> torch.Tensor:
    model, tokenizer, inputs = parts
    given = {"tokenizer": tokenizer, "max_new_tokens": 1, "pad_token_id": 0} | given
    return model.generate(**inputs, custom_generate=REPOSITORY, trust_remote_code=True, **given)


def law(parts: tuple[Any, Any, Any]) -> np.ndarray:
    """P in closed form: q uniform over the vocabulary, λ over the four likeliest."""
    model, tokenizer, inputs = parts
    with torch.inference_mode():
        p = model(**inputs).logits[0, -1].double().softmax(0).numpy()
    allowed = vocabulary_of(model, tokenizer).allowed
    uniform, likeliest = np.zeros_like(p), np.zeros_like(p)
    uniform[allowed] = 1 / len(allowed)
    likeliest[allowed[np.argsort(-p[allowed])[:K]]] = 1 / K
    return Q * uniform + (1 - Q) * (LAM * likeliest + (1 - LAM) * p)


def fits(drawn: torch.Tensor, expected: np.ndarray) -> float:
    """p-value of χ², rare tokens together."""
    counts = np.bincount(drawn.numpy(), minlength=len(expected))
    often = expected * DRAWS >= 5
    observed, wanted = (
        np.append(counts[often], counts[~often].sum()),
        np.append(expected[often], expected[~often].sum()),
    )
    kept = wanted > 0
    assert not observed[~kept].any()
    return float(chisquare(observed[kept], wanted[kept] / wanted[kept].sum() * DRAWS).pvalue)


def test_first_tokens_follow_the_law(parts: tuple[Any, Any, Any]) -> None:
    model, tokenizer, inputs = parts
    torch.manual_seed(1)
    output = recipe(parts, q=Q, lambda_=LAM, lambda_route={"top_k": K}, num_return_sequences=DRAWS)
    assert fits(output[:, -1], law(parts)) > 1e-3
    output = model.generate(
        **inputs, custom_generate=routed, vocabulary=vocabulary_of(model, tokenizer), q=Q, lambda_=LAM,
        lambda_route=Route("top_k", k=K), num_return_sequences=DRAWS, do_sample=True, top_k=0, max_new_tokens=1,
        pad_token_id=0,
    )  # fmt: skip
    assert fits(output[:, -1], law(parts)) > 1e-3
    plain = recipe(parts, num_return_sequences=DRAWS)
    assert fits(plain[:, -1], law(parts)) < 1e-9  # the test can fail


def test_no_routes_change_nothing(parts: tuple[Any, Any, Any]) -> None:
    model, _, inputs = parts
    greedy = model.generate(**inputs, do_sample=False, max_new_tokens=12, pad_token_id=0)
    assert torch.equal(recipe(parts, base="greedy", max_new_tokens=12), greedy)
    torch.manual_seed(2)
    sampled = model.generate(**inputs, do_sample=True, top_k=0, max_new_tokens=12, pad_token_id=0)
    torch.manual_seed(2)
    assert torch.equal(recipe(parts, max_new_tokens=12), sampled)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"tokenizer": None}, "`tokenizer` is needed"),
        ({"q": 1.5}, r"`q` has to be a float in the \[0, 1\] interval"),
        ({"q": 0.1, "q_route": "any"}, "`q_route` = 'any'"),
        ({"base": {"temperature": -1}}, "`base.temperature` = -1: must be a number"),
        ({"q": 0.1, "q_gate": {"span": 0.5}}, r"`q_gate.span` = 0.5: must be a number of at least 1"),
        ({"q": 0.1, "q_gate": "spans"}, "`q_gate` = 'spans': must be token"),
        ({"q_schedule": {"shape": "linear", "start": 2, "end": 0}}, "`q_schedule.start` = 2: must be"),
        ({"lambda_schedule": "explore_last"}, "`lambda_schedule` = 'explore_last': must be constant"),
        (
            {"q": 0.1, "q_schedule": "explore_first", "max_new_tokens": None},
            "`q_schedule` lasts the whole text: give its `length`, or `max_new_tokens`",
        ),
        ({"lambda_": 0.1, "lambda_route": {"heads": 0.3}}, "`lambda_route` = heads runs the model itself"),
    ],
)
def test_what_the_recipe_cannot_take(parts: tuple[Any, Any, Any], given: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        recipe(parts, **given)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"do_sample": False}, "not do_sample=False"),
        ({"do_sample": True, "temperature": 0.7, "top_k": 0}, "not TemperatureLogitsWarper"),
        ({"do_sample": True, "top_k": 0, "vocabulary": None}, "`vocabulary` is needed"),
    ],
)
def test_what_the_function_cannot_take(
    parts: tuple[Any, Any, Any], given: dict[str, Any], line: str
) -> None:
    model, tokenizer, inputs = parts
    given = {"vocabulary": vocabulary_of(model, tokenizer)} | given
    with pytest.raises(ValueError, match=line):
        model.generate(**inputs, custom_generate=routed, max_new_tokens=2, pad_token_id=0, **given)


def test_the_repository_is_whole() -> None:
    files = {
        str(path.relative_to(REPOSITORY)) for path in Path(REPOSITORY).rglob("*") if path.suffix != ".pyc"
    }
    assert {"README.md", "custom_generate/generate.py", "custom_generate/requirements.txt"} <= files
