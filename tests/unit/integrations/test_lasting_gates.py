"""Span and sequence gates and schedules of the processor: the closed form at each step, and what begins a text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import AutoModelForCausalLM

from random_routing import (
    Gate,
    RandomRoutingLogitsProcessor,
    Route,
    Schedule,
    Source,
    Vocabulary,
    vocabulary_of,
)
from random_routing.integrations.custom_generate import REPOSITORY, routed
from tests.helpers import LONG
from tests.helpers.tiny import byte_tokenizer, tiny_model_folder

# Tokens 0, 1, 2 and 3 may be drawn at random; 4 ends a text, and is drawn from p alone.
VOCABULARY = Vocabulary(5, np.arange(4), frozenset({4}))
P = torch.tensor([0.4, 0.3, 0.1, 0.05, 0.15], dtype=torch.float64)
DELTA_Q, DELTA_LAMBDA = torch.tensor([0.25] * 4 + [0]).double(), torch.tensor([0.5, 0.5, 0, 0, 0]).double()
TEXTS, STEPS, LIMIT = 20_000, 10, 1e-4
TOP = Route("top_k", k=2)
FALLING = Schedule("linear", 1.0, 0.0)


def laws(routing: RandomRoutingLogitsProcessor, texts: int, steps: int, seed: int = 0) -> torch.Tensor:
    """P of each step of as many texts, whose tokens are drawn: (steps, texts, 5)."""
    generator = torch.Generator().manual_seed(seed)
    scores, ids, found = P.log().float().expand(texts, -1), torch.zeros(texts, 3, dtype=torch.long), []
    for _ in range(steps):
        found.append(routing(ids, scores).exp())
        ids = torch.cat([ids, torch.multinomial(found[-1], 1, generator=generator)], dim=1)
    return torch.stack(found)


def opened(routing: RandomRoutingLogitsProcessor, texts: int, steps: int) -> np.ndarray:
    """Is δ_q the law? (texts, steps) bool. It alone never draws token 4."""
    return (laws(routing, texts, steps)[..., 4] == 0).numpy().T


def rejected(tokens: torch.Tensor, law: torch.Tensor) -> bool:
    """Does χ² say that tokens (N,) do not follow a law (5,)?"""
    counts = torch.bincount(tokens, minlength=5).numpy()
    return bool(chisquare(counts, (law / law.sum() * len(tokens)).numpy()).pvalue < LIMIT)


@pytest.mark.parametrize("kind", ["token", "span", "sequence"])
@pytest.mark.parametrize(
    ("q", "factor", "schedule"),
    [
        (0.3, [1.0] * STEPS, Schedule()),
        (
            0.6,
            [1 - t / 9 for t in range(STEPS)],
            FALLING,
        ),  # explore first: 1 at the first token, 0 at the last
        (0.5, [0.5**t for t in (0, 1, 2, *[3] * 7)], Schedule("exponential", 1.0, 0.125, 3)),
    ],
)
def test_tokens_of_each_step_follow_the_law(
    kind: str, q: float, factor: list[float], schedule: Schedule
) -> None:
    """P = q·f(t)·δ_q + (1 − q·f(t))·[0.2·δ_λ + 0.8·p], χ² at each step. Texts are independent; nine cases with ten
    steps at 1e-4: a false alarm in a hundred versions of this test, whose numbers are fixed."""
    routing = RandomRoutingLogitsProcessor(
        VOCABULARY, q=q, lam=0.2, lambda_route=TOP, q_gate=Gate(kind, 3.0), lambda_gate=Gate("sequence"),
        q_schedule=schedule, max_new_tokens=STEPS, seed=4,
    )  # fmt: skip
    found = laws(routing, TEXTS, STEPS)
    generator = torch.Generator().manual_seed(1)
    for step in range(STEPS):
        tokens = torch.multinomial(found[step], 1, generator=generator)[:, 0]
        rate = q * factor[step]
        inner = 0.2 * DELTA_LAMBDA + 0.8 * P
        assert not rejected(tokens, rate * DELTA_Q + (1 - rate) * inner), step
        assert rejected(tokens, (rate + 0.1) * DELTA_Q + (0.9 - rate) * inner), "the test can fail"


def test_spans_are_geometric_with_their_mean() -> None:
    """χ² of lengths 1 to 8 and the rest against (1 − 1/m)^(n−1)/m, of spans that begin early."""
    mean, steps = 3.0, 100  # more steps than are drawn at first
    open_ = opened(RandomRoutingLogitsProcessor(VOCABULARY, q=0.2, q_gate=Gate("span", mean)), 1_000, steps)
    lengths = []
    for row in open_.astype(int):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row, [0]])))
        lengths += [b - a for a, b in zip(edges[::2], edges[1::2], strict=True) if 0 < a < steps - 30]
    counts = np.bincount(np.minimum(lengths, 9), minlength=10)[1:]
    law = np.append((1 - 1 / mean) ** np.arange(8) / mean, (1 - 1 / mean) ** 8)
    assert chisquare(counts, law * counts.sum()).pvalue > LIMIT
    other = np.append((1 - 1 / 4) ** np.arange(8) / 4, (1 - 1 / 4) ** 8)
    assert chisquare(counts, other * counts.sum()).pvalue < LIMIT


def test_a_sequence_is_all_or_none_and_ends_where_its_rate_falls() -> None:
    gate = Gate("sequence")
    open_ = opened(RandomRoutingLogitsProcessor(VOCABULARY, q=0.4, q_gate=gate), 500, 70)
    assert (open_.all(1) | ~open_.any(1)).all() and 0.3 < open_[:, 0].mean() < 0.5
    falling: dict[str, Any] = {"q_gate": gate, "q_schedule": FALLING, "max_new_tokens": 9}
    open_ = opened(RandomRoutingLogitsProcessor(VOCABULARY, q=1.0, **falling), 500, 12)
    assert open_[:, 0].all() and not (open_[:, 1:] & ~open_[:, :-1]).any()
    assert not open_[:, 8:].any()  # the end value stays


def test_a_gate_that_is_always_open() -> None:
    assert opened(RandomRoutingLogitsProcessor(VOCABULARY, q=1.0, q_gate=Gate("span", 2.0)), 50, 70).all()


def test_a_row_has_gates_of_its_own() -> None:
    routing = RandomRoutingLogitsProcessor(VOCABULARY, q=0.3, q_gate=Gate("span", 3.0), seed=2)
    many = opened(routing, 40, 70)
    assert len({row.tobytes() for row in many}) > 35
    assert (opened(routing, 3, 20) == many[:3, :20]).all()  # neither other rows nor more steps change them
    other = RandomRoutingLogitsProcessor(VOCABULARY, q=0.3, q_gate=Gate("span", 3.0), seed=3)
    assert (opened(other, 40, 70) != many).any(1).mean() > 0.9


def test_an_entropy_gate_with_a_schedule() -> None:
    """f·min(1, s·H/log V) by hand: H of p is 1.391 nats."""
    share = 0.5 * float(-(P * P.log()).sum()) / np.log(5)
    routing = RandomRoutingLogitsProcessor(
        VOCABULARY, q=1.0, q_gate=Gate("entropy", scale=0.5), q_schedule=FALLING, max_new_tokens=5
    )
    for law, factor in zip(laws(routing, 1, 5), (1, 0.75, 0.5, 0.25, 0), strict=True):
        assert law[0, 4].item() == pytest.approx((1 - factor * share) * 0.15, abs=1e-6)


def test_what_begins_a_text() -> None:
    """Weights of δ_q by step: 1, 1/2, 0, read from token 4, whose probability is 0.15·(1 − weight)."""
    schedule = Schedule("linear", 1.0, 0.0, length=2)
    routing = RandomRoutingLogitsProcessor(VOCABULARY, q=1.0, q_schedule=schedule)

    def weight(*ids: int) -> float:
        return 1 - routing(torch.tensor([ids]), P.log().float()[None]).exp()[0, 4].item() / 0.15

    def near(*weights: float) -> Any:
        return pytest.approx(list(weights), abs=1e-5)

    assert [weight(7, 8), weight(7, 8, 1), weight(7, 8, 1, 2), weight(7, 8, 1, 2, 0)] == near(1, 0.5, 0, 0)
    assert [weight(7, 8), weight(7, 8, 3)] == near(1, 0.5)  # shorter than the last: a new call
    assert [weight(7, 8, 3)] == near(1)  # as long
    assert [weight(7, 9, 3, 1)] == near(1)  # a token longer, but another text
    assert [weight(7, 9, 3, 1, 1, 1)] == near(1)  # two tokens longer
    assert [weight(7, 9), weight(7, 9, 1)] == near(1, 0.5)
    assert [weight(7, 9, 1, 1)] == near(0)  # what `generate` returned, given to it again, goes on
    routing.reset()
    assert [weight(7, 9, 1, 1, 1)] == near(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_model_folder(tmp_path_factory.mktemp("tiny"))).eval()


PROMPT, FIVE = torch.tensor([[1, 40, 77]]), torch.tensor([5])


@pytest.mark.parametrize("form", ["folder", "function"])
@pytest.mark.parametrize("gate", [{"span": 3}, "sequence"])
def test_second_tokens_of_generate_follow_the_law(model: Any, form: str, gate: Any) -> None:
    """q·f = 0.25 at the second of three tokens, after a token that all texts share; χ² over the 30 likeliest and
    the rest; false alarm 1e-4."""
    draws, tokenizer = 20_000 if LONG else 8_000, byte_tokenizer()
    vocabulary = vocabulary_of(model, tokenizer)
    torch.manual_seed(3)
    own: dict[str, Any] = {
        "custom_generate": routed,
        "vocabulary": vocabulary,
        "do_sample": True,
        "top_k": 0,
    }
    if form == "folder":
        own = {"custom_generate": REPOSITORY, "trust_remote_code": True, "tokenizer": tokenizer}

    def first_is_5(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return scores if ids.shape[1] > 3 else torch.full_like(scores, -torch.inf).index_fill_(1, FIVE, 0.0)

    output = model.generate(
        PROMPT, **own, q=0.5, q_route={"top_k": 5}, q_gate=gate, q_schedule="explore_first", max_new_tokens=3,
        num_return_sequences=draws, pad_token_id=0, logits_processor=[first_is_5],
    )  # fmt: skip
    assert (output[:, 3] == 5).all()
    with torch.no_grad():
        p = torch.softmax(model(output[:1, :4]).logits[0, -1], -1).double()
    order = torch.tensor([i for i in p.argsort(descending=True).tolist() if i in vocabulary.allowed])
    likeliest = torch.zeros(300).double()
    likeliest[order[:5]] = 1 / 5
    counts = torch.bincount(output[:, 4], minlength=300)[order[:30]].tolist()
    observed = [*counts, draws - sum(counts)]
    for rate, fits in ((0.25, True), (0.5, False), (0.0, False)):
        law = (rate * likeliest + (1 - rate) * p)[order[:30]].tolist()
        expected = np.array([*law, 1 - sum(law)]) * draws
        assert (chisquare(observed, expected).pvalue > LIMIT) == fits, rate


def test_each_call_of_the_recipe_has_gates_of_its_own(model: Any) -> None:
    """From torch's generator: equal seeds give equal texts, and a seed of one's own fixes the gates."""
    settings = {
        "tokenizer": byte_tokenizer(),
        "q": 0.5,
        "q_gate": "sequence",
        "base": "greedy",
        "max_new_tokens": 6,
    }

    def texts(**more: Any) -> list[list[int]]:
        return model.generate(
            PROMPT, custom_generate=REPOSITORY, trust_remote_code=True, num_return_sequences=40, pad_token_id=0,
            **settings, **more,
        ).tolist()  # fmt: skip

    def shut(**more: Any) -> list[bool]:
        return [text == greedy for text in texts(**more)]

    greedy = model.generate(PROMPT, do_sample=False, max_new_tokens=6, pad_token_id=0)[0].tolist()
    torch.manual_seed(1)
    first, second = shut(), shut()
    torch.manual_seed(1)
    assert shut() == first != second and 5 < sum(first) < 35
    assert shut(seed=9) == shut(seed=9) != first


def test_beams_are_refused(model: Any) -> None:
    vocabulary = vocabulary_of(model, byte_tokenizer())
    routing = RandomRoutingLogitsProcessor(vocabulary, q=0.5, q_gate=Gate("span", 2.0))
    with pytest.raises(
        ValueError, match="rows have changed places: gates that last and schedules need num_beams=1"
    ):
        model.generate(PROMPT, num_beams=4, max_new_tokens=20, pad_token_id=0, logits_processor=[routing])


def test_sources_are_one_for_each_row() -> None:
    routing = RandomRoutingLogitsProcessor(VOCABULARY, sources=[Source(0, "a", "b", 0)], max_new_tokens=2)
    scores = P.log().float()
    with pytest.raises(ValueError, match="one for each of 2 rows, not 1"):
        routing(torch.zeros(2, 1), scores.expand(2, -1))
    ids = torch.zeros(1, 4, dtype=torch.long)
    routing(ids[:, :1], scores[None]), routing(ids[:, :2], scores[None])
    with pytest.raises(ValueError, match="`max_new_tokens` is 2, but one more is asked for"):
        routing(ids[:, :3], scores[None])
