"""In a real vLLM: first tokens follow the closed form, and nobody else's request notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.vllm_runs import CURRENT, DRAWS, LAWS, PROMPT, Known, fits

pytest.importorskip("vllm", reason="vLLM has an environment of its own: make test-vllm")

from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError

from random_routing.integrations.vllm.processor import RandomRouting

Write = Callable[..., list[list[int]]]


@pytest.mark.parametrize("name", LAWS)
def test_first_tokens_follow_the_law(name: str, texts: Write, known: Known) -> None:
    """A false alarm in a thousand for each law; the engine's seed is fixed, so that it is the same every time."""
    drawn = np.array(texts(LAWS[name], DRAWS)).ravel()
    assert len(drawn) == DRAWS and fits(drawn, known.law(name)) > 1e-3


def test_the_comparison_can_fail(texts: Write, known: Known) -> None:
    """Another q, and no processor at all."""
    for law in (LAWS["epsilon-greedy"] | {"q": 0.6}, None):
        assert fits(np.array(texts(law, DRAWS)).ravel(), known.law("epsilon-greedy")) < 1e-3


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[torch.Tensor]]:
    """What the processor hands on, at every step."""
    kept: list[torch.Tensor] = []

    def apply(self: Any, logits: torch.Tensor, *context: Any) -> torch.Tensor:
        made = own(self, logits, *context)
        kept.append(made.clone())
        return made

    own = RandomRouting.apply
    monkeypatch.setattr(RandomRouting, "apply", apply)
    yield kept


def test_each_request_in_a_batch_has_its_own_law(
    engine: Any, known: Known, seen: list[torch.Tensor]
) -> None:
    """All laws and a request without one, three times over, in one batch: log P of each, to rounding."""
    laws = [law for _ in range(3) for law in (None, *LAWS.values())]
    names = [name for _ in range(3) for name in ("", *LAWS)]
    params = [
        SamplingParams(temperature=1.0, max_tokens=1, extra_args={"random_routing": law} if law else None)
        for law in laws
    ]
    engine.generate([PROMPT] * len(params), params, use_tqdm=False)
    handed = torch.cat(seen)[-len(params) :].double().softmax(1).numpy()  # (21, V)
    assert len(handed) == len(names)
    wanted = np.stack([known.law(name) if name else known.p for name in names])
    np.testing.assert_allclose(handed, wanted, atol=2e-6)


def test_greedy_is_unchanged_without_routes(texts: Write) -> None:
    """q = λ = 0: with vLLM's own greedy, and as a base."""
    [plain] = texts(None, tokens=40, temperature=0.0)
    assert texts({"q": 0, "lambda": 0}, tokens=40, temperature=0.0) == [plain]
    assert texts({"base": "greedy"}, tokens=40) == [plain]
    [routed] = texts({"q": 0.5, "base": "greedy"}, tokens=40)
    assert routed != plain


def test_a_request_without_settings_is_left_as_it_is(engine: Any) -> None:
    """Bit for bit beside routed ones, with a seed, a temperature and truncations of vLLM's own."""
    # Triton's interpreter cannot run the current runner's top-k and top-p.
    cut = {} if CURRENT else {"top_p": 0.9, "top_k": 50}
    own = SamplingParams(temperature=0.8, min_p=0.01, max_tokens=20, seed=5, **cut)
    routed = SamplingParams(
        temperature=1.0, max_tokens=20, seed=6, extra_args={"random_routing": {"q": 0.5}}
    )
    [alone] = engine.generate([PROMPT], own, use_tqdm=False)
    beside = engine.generate([PROMPT] * 3, [routed, own, routed], use_tqdm=False)[1]
    assert alone.outputs[0].token_ids == beside.outputs[0].token_ids


def test_a_schedule_counts_the_steps_of_each_request(texts: Write, engine: Any) -> None:
    """All random at the first step, greedy from the second on: what follows is the greedy text of what came."""
    law = {"q": 1, "base": "greedy", "q_schedule": {"shape": "linear", "start": 1, "end": 0, "length": 1}}
    made = texts(law, 6, tokens=8)
    assert len({text[0] for text in made}) > 1
    prompt = engine.get_tokenizer()(PROMPT)["input_ids"]
    greedy = SamplingParams(temperature=0.0, max_tokens=7, ignore_eos=True)
    for text in made:
        [output] = engine.generate([{"prompt_token_ids": [*prompt, text[0]]}], greedy, use_tqdm=False)
        assert text[1:] == list(output.outputs[0].token_ids)


def test_gates_and_frozen_routes_are_of_a_text(texts: Write) -> None:
    """A sequence gate is open in all steps or in none; a frozen δ keeps its few tokens; a seed repeats both."""
    count = 12 if CURRENT else 60
    [plain] = texts(None, tokens=12, temperature=0.0)
    gated = {"q": 0.5, "base": "greedy", "q_gate": "sequence"}
    made = texts(gated, count, tokens=12, seed=1)
    same = [text == plain for text in made]
    assert 0 < sum(same) < count  # by chance in fewer than one of 2,000 runs of 12 texts
    random = [text for text in made if text != plain]
    assert np.mean([len({*text} - {*plain}) for text in random]) > 8  # nearly all of its 12 tokens
    assert texts(gated, count, tokens=12, seed=1) == made
    few = texts({"q": 1, "q_route": {"frozen": 0.01}}, 4, tokens=12, seed=1)
    assert np.mean([len({*text}) for text in few]) < 7 < len({token for text in few for token in text})
    assert texts({"q": 1, "q_route": {"frozen": 0.01}}, 4, tokens=12, seed=1) == few


def test_spans_are_as_long_as_they_say(texts: Write, seen: list[torch.Tensor]) -> None:
    """q = 0.5 in spans of mean 8: 12 of them in 200 steps; 50, if each step were drawn alone."""
    texts({"q": 0.5, "base": "greedy", "q_gate": {"span": 8}}, tokens=200, seed=3)
    is_open = np.array([bool(step.softmax(1).max() < 0.9) for step in seen])
    assert len(is_open) == 200 and 0.25 < is_open.mean() < 0.75
    assert 5 <= np.count_nonzero(is_open[1:] < is_open[:-1]) <= 24


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"extra_args": {"random_routing": {"q": 1.2}}}, "random_routing: q = 1.2: must be a number of at least 0"),
        ({"extra_args": {"random_routing": {"p": 1}}}, "random_routing: p = 1: unknown key; allowed: base"),
        ({"extra_args": {"random_routing": {"q": 0.1}}, "temperature": 0.7}, "needs temperature=1, not 0.7"),
        ({"extra_args": {"random_routing": {"q": 0.1}}, "temperature": 0.0}, "needs temperature=1, not 0"),
        ({"extra_args": {"random_routing": {"q": 0.1, "q_route": "frozen"}}}, "need the request's `seed`"),
        ({"extra_args": {"random_routing": {"q": 0.1}}, "top_p": 0.9}, "needs top_p=1, not 0.9"),
        ({"extra_args": {"random_routing": {"q": 0.1}}, "repetition_penalty": 1.1}, "needs repetition_penalty=1"),
    ],
)  # fmt: skip
def test_what_cannot_be_refuses_that_request(engine: Any, given: dict[str, Any], line: str) -> None:
    with pytest.raises(VLLMValidationError, match=line) as refused:
        engine.generate([PROMPT], SamplingParams(max_tokens=2, **given), use_tqdm=False)
    assert "\n" not in str(refused.value)
    assert engine.generate([PROMPT], SamplingParams(max_tokens=2), use_tqdm=False)
