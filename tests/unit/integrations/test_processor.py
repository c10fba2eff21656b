"""The law in plain transformers: closed forms by hand, and `generate` with it."""

from __future__ import annotations

import doctest
import math
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from random_routing.integrations import processor, structural_routes
from random_routing.integrations.processor import RandomRoutingLogitsProcessor, vocabulary_of
from random_routing.integrations.structural_routes import random_routing
from random_routing.law.noise import Source
from random_routing.law.routes import frozen
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Annealing, Base, Gate, Route, Schedule
from tests.helpers import ROOT
from tests.helpers.tiny import byte_tokenizer, tiny_model_folder

# Tokens 0, 1, 2 and 3 may be drawn at random; 4 ends a text.
VOCABULARY = Vocabulary(5, np.arange(4), frozenset({4}))
P = torch.tensor([[0.4, 0.3, 0.1, 0.1, 0.1], [0.0, 0.5, 0.25, 0.0, 0.25]])
LOG_P = P.log()
NOTHING = torch.empty(2, 0, dtype=torch.long)
UNIFORM, TOP = Route("uniform"), Route("top_k", k=2)


def law(scores: torch.Tensor = LOG_P, **settings: Any) -> list[list[float]]:
    kept = scores.clone()
    found = RandomRoutingLogitsProcessor(VOCABULARY, **settings)(NOTHING, scores)
    assert torch.equal(scores, kept), "inputs stay untouched"
    assert found.exp().sum(1).tolist() == pytest.approx([1, 1])
    return found.exp().tolist()


@pytest.mark.parametrize(
    ("settings", "first", "second"),
    [
        ({}, [0.4, 0.3, 0.1, 0.1, 0.1], [0, 0.5, 0.25, 0, 0.25]),
        # 0.2·(1/4 each of four) + 0.8·p; in the second row two tokens are forbidden, so 1/2 each of two
        ({"q": 0.2}, [0.37, 0.29, 0.13, 0.13, 0.08], [0, 0.5, 0.3, 0, 0.2]),
        ({"lam": 0.2}, [0.37, 0.29, 0.13, 0.13, 0.08], [0, 0.5, 0.3, 0, 0.2]),
        ({"q": 1.0, "lam": 0.5}, [0.25, 0.25, 0.25, 0.25, 0], [0, 0.5, 0.5, 0, 0]),
        # 0.5·(1/2, 1/2, 0, 0, 0) + 0.5·p
        ({"q": 0.5, "q_route": TOP}, [0.45, 0.4, 0.05, 0.05, 0.05], [0, 0.5, 0.375, 0, 0.125]),
        # 0.1·uniform + 0.9·[0.5·top-2 + 0.5·p] = 0.1·0.25 + 0.9·(0.45, 0.4, 0.05, 0.05, 0.05)
        (
            {"q": 0.1, "lam": 0.5, "lambda_route": TOP},
            [0.43, 0.385, 0.07, 0.07, 0.045],
            [0, 0.5, 0.3875, 0, 0.1125],
        ),
        # ε-greedy: the likeliest gets the rest
        ({"q": 0.2, "base": Base(greedy=True)}, [0.85, 0.05, 0.05, 0.05, 0], [0, 0.9, 0.1, 0, 0]),
        # p is truncated to (4/7, 3/7), then mixed
        (
            {"q": 0.3, "base": Base(top_k=2)},
            [0.7 * 4 / 7 + 0.075, 0.7 * 3 / 7 + 0.075, 0.075, 0.075, 0],
            [0, 0.15 + 0.7 * 0.5, 0.15 + 0.7 * 0.25, 0, 0.7 * 0.25],  # 0.25 twice: both belong to the top 2
        ),
        # frequencies (1, 3, 0, 0, 9): 9 may not be drawn, so (1/4, 3/4); the second row may not draw 0
        (
            {"q": 0.4, "q_route": Route("unigram"), "frequencies": torch.tensor([1.0, 3, 0, 0, 9])},
            [0.34, 0.48, 0.06, 0.06, 0.06],
            [0, 0.7, 0.15, 0, 0.15],
        ),
    ],
)  # fmt: skip
def test_the_law_by_hand(settings: dict[str, Any], first: list[float], second: list[float]) -> None:
    found = law(**settings)
    assert found[0] == pytest.approx(first, abs=1e-6) and found[1] == pytest.approx(second, abs=1e-6)


def test_what_can_never_be_drawn_keeps_minus_infinity() -> None:
    scores = P.log() + 2.5  # logits, not log-probabilities
    found = RandomRoutingLogitsProcessor(VOCABULARY, q=0.1, lam=0.1)(NOTHING, scores)
    assert found[1, [0, 3]].isneginf().all() and found[0].isfinite().all()
    only = torch.full((2, 5), -torch.inf)
    only[:, 4] = 0.0  # a processor before it forces the end of the text
    assert law(only, q=0.9) == [[0, 0, 0, 0, 1]] * 2


def test_an_entropy_gate_by_hand() -> None:
    """H of the first row is 1.4185 nats of log 5 = 1.6094; scale 0.5 gives 0.44067."""
    entropy = -sum(p * math.log(p) for p in (0.4, 0.3, 0.1, 0.1, 0.1))
    share = 0.5 * entropy / math.log(5)
    found = law(q=1.0, q_gate=Gate("entropy", scale=0.5))[0]
    expected = [share / 4 + (1 - share) * p for p in (0.4, 0.3, 0.1, 0.1)]
    assert found == pytest.approx([*expected, (1 - share) * 0.1], abs=1e-6)


def test_frozen_rows_keep_a_distribution_of_their_own() -> None:
    routing = RandomRoutingLogitsProcessor(
        VOCABULARY, q=1.0, q_route=Route("frozen", concentration=1.0), seed=3
    )
    flat = torch.zeros(2, 5)
    one, two = routing(NOTHING, flat).exp(), routing(NOTHING, flat + 1.0).exp()
    assert torch.equal(one, two) and not torch.allclose(one[0], one[1], atol=0.01)
    mass = frozen(Source(3, "processor", "", 1).uniforms("frozen", 4), 1.0, VOCABULARY)
    assert one[1].tolist() == pytest.approx(mass.tolist(), abs=1e-6)


def test_a_row_does_not_depend_on_its_batch() -> None:
    routing = RandomRoutingLogitsProcessor(VOCABULARY, q=0.2, lam=0.3, lambda_route=TOP)
    both = routing(NOTHING, P.log())
    assert torch.equal(routing(NOTHING[:1], P.log()[1:]), both[1:])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"q": 1.2}, r"`q` has to be a float in the \[0, 1\] interval, but is 1.2"),
        ({"lam": -0.1}, "`lam` has to be"),
        ({"q_route": Route("top_k", k=0)}, r"`q_route` has to have k in \[1, 4\], but it is 0"),
        ({"lambda_route": Route("top_k", k=5)}, r"k in \[1, 4\], but it is 5"),
        ({"q_route": Route("unigram")}, "needs `frequencies`"),
        ({"q_route": Route("heads", drop=0.1)}, "use `random_routing"),
        ({"q_route": Route("frozen")}, "positive concentration"),
        ({"q_gate": Gate("spam")}, "token, span, sequence, entropy, but is spam"),
        ({"q_gate": Gate("span", 0.5)}, r"`q_gate.span` = 0.5: must be a number of at least 1"),
        ({"q": 0.9, "q_gate": Gate("span", 3.0)}, r"can fill at most 0.75 of the steps, not 0.9"),
        (
            {"q_schedule": Schedule("linear", 1.0, 0.0)},
            "`q_schedule` lasts the whole text: give its `length`",
        ),
        ({"q_schedule": Schedule("linear", 1.5, 0.0, 9)}, "`q_schedule.start` = 1.5: must be a number"),
        (
            {"lambda_schedule": Schedule("step", 1.0, 0.0, 9)},
            "`lambda_schedule.shape` = .step.: must be one of",
        ),
        ({"lambda_schedule": Schedule("exponential", 1.0, 0.0, 9)}, "an exponential never reaches it"),
        ({"max_new_tokens": 0}, "whole number of at least 1, but is 0"),
        ({"sources": [Source(0, "textgen", "a", 0)]}, "`sources` need `max_new_tokens`"),
        ({"q_gate": Gate("entropy")}, "`q_gate` needs a scale above 0"),
        ({"q": "a"}, "`q` has to be a float"),
        (
            {"lambda_route": {"top_k": 20}},
            "`lambda_route` has to be a Route, such as .*, but is {'top_k': 20}",
        ),
        ({"q_route": "uniform"}, "`q_route` has to be a Route, such as .*, but is 'uniform'"),
        ({"q_route": Route("unifrom")}, "uniform, top_k, unigram or frozen, but is unifrom"),
        ({"base": Base(temperature=0.0)}, "temperature in 1e-06 to 100, but it is 0"),
        ({"base": Base(top_p=1.5)}, "top_p in 0 to 1, but it is 1.5"),
        ({"base": Base(top_k=-3)}, "top_k of at least 0"),
        (
            {"q_route": Route("unigram"), "frequencies": torch.zeros(5)},
            "`frequencies` has to be at least 0",
        ),
        ({"q_route": Route("unigram"), "frequencies": torch.ones(4)}, r"of shape \(5,\), but is of \(4,\)"),
        ({"q_route": Route("unigram"), "frequencies": [1.0, -1.0, 1, 1, 1]}, "at least 0"),
    ],
)
def test_values_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomRoutingLogitsProcessor(VOCABULARY, **settings)


def test_a_temperature_that_changes_is_refused() -> None:
    with pytest.raises(ValueError, match="one temperature"):
        RandomRoutingLogitsProcessor(VOCABULARY, base=Base(temperature=Annealing("linear", 1.3, 0.7)))


def test_scores_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="`vocabulary` is of 5 tokens, but the scores are of 4"):
        RandomRoutingLogitsProcessor(VOCABULARY, q=0.1)(NOTHING, torch.zeros(2, 4))
    with pytest.raises(ValueError, match="at least one token"):
        RandomRoutingLogitsProcessor(Vocabulary(5, np.arange(0), frozenset()))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_model_folder(tmp_path_factory.mktemp("tiny"))).eval()


def test_generate_draws_from_the_law(model: Any) -> None:
    """First tokens of 20,000 texts, χ² over the 30 likeliest and the rest; false alarm 1e-4."""
    vocabulary = vocabulary_of(model, byte_tokenizer())
    assert vocabulary.size == 300 and len(vocabulary.allowed) == 256  # no special token, no padding id
    routing = RandomRoutingLogitsProcessor(vocabulary, q=0.3, lam=0.2, lambda_route=Route("top_k", k=5))
    prompt = torch.tensor([[1, 40, 77]])
    torch.manual_seed(0)
    output = model.generate(
        prompt, do_sample=True, top_k=0, max_new_tokens=1, num_return_sequences=20_000, pad_token_id=0,
        logits_processor=[routing],
    )  # fmt: skip
    with torch.no_grad():
        p = torch.softmax(model(prompt).logits[0, -1], -1).double()
    uniform, top = torch.zeros(300).double(), torch.zeros(300).double()
    uniform[vocabulary.allowed] = 1 / 256
    top[[i for i in p.argsort(descending=True).tolist() if i in vocabulary.allowed][:5]] = 1 / 5
    expected = 0.3 * uniform + 0.7 * (0.2 * top + 0.8 * p)
    counts = torch.bincount(output[:, 3], minlength=300)
    order = expected.argsort(descending=True)
    bins = [[i] for i in order[:30].tolist()] + [order[30:].tolist()]
    observed = [counts[b].sum().item() for b in bins]
    law = np.array([expected[b].sum().item() for b in bins])
    assert stats.chisquare(observed, law / law.sum() * 20_000).pvalue > 1e-4


def test_generate_with_encoder_decoder_models(tmp_path: Path) -> None:
    network: Any = AutoModelForSeq2SeqLM.from_pretrained(tiny_model_folder(tmp_path, "marian")).eval()
    network.generation_config.forced_eos_token_id = None  # else the last token is not ours to choose
    vocabulary = vocabulary_of(network, byte_tokenizer())
    routing = RandomRoutingLogitsProcessor(vocabulary, q=1.0)
    prompt = torch.tensor([[40, 77, 2]])
    settings: dict[str, Any] = {
        "do_sample": True,
        "num_beams": 1,
        "max_new_tokens": 12,
        "min_new_tokens": 12,
    }
    output = network.generate(prompt, logits_processor=[routing], **settings)[0, 1:].tolist()
    assert len(output) == 12 and set(output) <= set(vocabulary.allowed.tolist())
    with random_routing(network, Route("heads", drop=0.5), q=1.0, vocabulary=vocabulary):
        output = network.generate(prompt, **settings)[0, 1:].tolist()
    assert len(output) == 12 and set(output) <= set(vocabulary.allowed.tolist())


PROMPTS = torch.tensor([[1, 40, 77, 9], [1, 200, 31, 8]])


@pytest.mark.parametrize(("file", "count"), [("docs/law.md", 5)])
def test_the_lines_of_the_documents(model: Any, file: str, count: int) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    blocks = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "output" in block]
    assert len(blocks) == count
    names: dict[str, Any] = {
        "model": model,
        "tokenizer": byte_tokenizer(),
        "inputs": {"input_ids": PROMPTS},
    }
    for block in blocks:
        exec(block, names)
        assert names["output"].shape[0] == 2 and names["output"].shape[1] > 4


@pytest.mark.parametrize("module", [processor, structural_routes])
def test_examples_of_the_documentation(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 5 and result.failed == 0
