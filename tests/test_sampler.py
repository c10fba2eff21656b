"""Drawn tokens follow the law in closed form; base decoders equal hand-computed distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from transformers import (
    EtaLogitsWarper,
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from pipeline.decoding.sampler import Sampler
from pipeline.decoding.sampling import distribution, likeliest
from pipeline.routing.cells import NO_ROUTE, Decoder
from pipeline.routing.law import routed
from pipeline.routing.vocabulary import Vocabulary
from pipeline.settings import Base, Route

P = torch.tensor([[0.5, 0.25, 0.15, 0.07, 0.03]])
UNIFORM = Route("uniform")


def probabilities(logits: torch.Tensor, base: Base) -> torch.Tensor:
    """p under the base in closed form, (R, V)."""
    if base.greedy:
        return torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).float()
    weights = distribution(logits, base).weights
    return weights / weights.sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (Base(), [0.5, 0.25, 0.15, 0.07, 0.03]),
        (Base(greedy=True), [1, 0, 0, 0, 0]),
        # p^(1/0.5) = p², renormalised by 0.25 + 0.0625 + 0.0225 + 0.0049 + 0.0009
        (Base(temperature=0.5), [x / 0.3408 for x in (0.25, 0.0625, 0.0225, 0.0049, 0.0009)]),
        (Base(top_k=2), [2 / 3, 1 / 3, 0, 0, 0]),
        (Base(top_p=0.8), [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0, 0]),  # 0.75 < 0.8: the third belongs
        (Base(min_p=0.25), [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0, 0]),  # at least 0.25·0.5 = 0.125
        # entropy 1.2782 nats; the tokens nearest to it in surprisal are 0.25 (1.386), 0.5 (0.693)
        (Base(typical_p=0.6), [2 / 3, 1 / 3, 0, 0, 0]),
        # η = min(0.04, √0.04·exp(−1.2782)) = 0.04: only 0.03 lies below
        (Base(eta=0.04), [x / 0.97 for x in (0.5, 0.25, 0.15, 0.07, 0.0)]),
        # temperature before truncation, as in Hugging Face: the two likeliest of p²
        (Base(temperature=0.5, top_k=2), [0.8, 0.2, 0, 0, 0]),
    ],
)
def test_base_by_hand(base: Base, expected: list[float]) -> None:
    logits = P.log() + 3.7  # any constant shift is the same distribution
    kept = logits.clone()
    assert probabilities(logits, base)[0].tolist() == pytest.approx(expected, abs=1e-6)
    assert torch.equal(logits, kept), "inputs stay untouched"


def by_library(logits: torch.Tensor, base: Base) -> torch.Tensor:
    """Scores under Hugging Face's own processors, in the order in which `generate` applies them."""
    chain = LogitsProcessorList()
    if base.temperature != 1:
        chain.append(TemperatureLogitsWarper(base.temperature))
    if base.top_k:
        chain.append(TopKLogitsWarper(base.top_k))
    if base.top_p < 1:
        chain.append(TopPLogitsWarper(base.top_p))
    if base.min_p > 0:
        chain.append(MinPLogitsWarper(base.min_p))
    if base.typical_p < 1:
        chain.append(TypicalLogitsWarper(base.typical_p))
    if base.eta > 0:
        chain.append(EtaLogitsWarper(base.eta))
    return torch.softmax(chain(torch.empty(len(logits), 0).long(), logits), dim=-1)  # type: ignore[arg-type]


@pytest.mark.parametrize("spread", [0.5, 3.0])  # flat: the nucleus holds most of the vocabulary
@pytest.mark.parametrize(
    "base",
    [
        Base(temperature=0.7), Base(temperature=1.3), Base(top_k=1), Base(top_k=50), Base(top_k=10**6),
        Base(top_p=0.1), Base(top_p=0.9), Base(top_p=0.99), Base(min_p=0.05), Base(typical_p=0.9),
        Base(eta=0.001), Base(temperature=0.8, top_k=40), Base(top_k=40, top_p=0.9),
        Base(temperature=1.5, top_k=1000, top_p=0.95, min_p=0.02),
    ],
)  # fmt: skip
def test_bases_equal_hugging_face(base: Base, spread: float) -> None:
    """The same tokens are kept, with the same probabilities, at a width that uses every shortcut."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 70_001, generator=generator) * spread
    ours, library = probabilities(logits, base), by_library(logits, base)
    different = ((ours > 0) != (library > 0)).sum(1)
    # fp32 sums of 70,001 terms put the edge of a nucleus a few tokens off in the library
    assert (different <= (20 if base.top_p < 1 or base.typical_p < 1 else 0)).all()
    assert torch.allclose(ours, library, rtol=2e-3, atol=1e-8)


def test_tokens_that_tie_with_the_last_of_a_nucleus_belong_to_it() -> None:
    kept = probabilities(torch.tensor([[2.0, 1.0, 1.0, 0.0]]), Base(top_p=0.6)) > 0
    assert kept.tolist() == [[True, True, True, False]]  # 0.53; 0.53 + 0.20 reaches 0.6


@pytest.mark.parametrize("k", [1, 7, 512])
@pytest.mark.parametrize("size", [600, 65_536, 70_001])
def test_likeliest_equals_a_full_sort(k: int, size: int) -> None:
    weights = torch.rand(4, size, generator=torch.Generator().manual_seed(k))
    weights[0, -k:] = 2.0  # all in the rest that no group holds
    assert torch.equal(likeliest(weights, k), weights.sort(1, descending=True).values[:, :k])


def search(p: torch.Tensor, u: torch.Tensor) -> list[int]:
    return distribution(p.log(), Base()).draw(np.arange(len(p)), u.numpy()).tolist()


def test_draw_by_hand() -> None:
    p = torch.tensor([0.2, 0.0, 0.5, 0.3]).repeat(7, 1)
    u = torch.tensor([0.0, 0.19, 0.21, 0.69, 0.71, 0.99, 1 - 2**-53], dtype=torch.float64)
    assert search(p, u) == [0, 0, 2, 2, 3, 3, 3]


def test_draw_never_takes_what_has_no_probability() -> None:
    p = torch.zeros(3, 1000)
    p[0, 700], p[1, 255], p[2, 999] = 1.0, 1.0, 1.0
    for u in (0.0, 0.5, 1 - 2**-53):
        assert search(p, torch.full((3,), u, dtype=torch.float64)) == [700, 255, 999]


@pytest.mark.parametrize("size", [5000, 5120])
def test_draw_equals_plain_search(size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    p = torch.softmax(torch.randn(64, size, generator=generator) * 3, dim=-1)
    u = torch.rand(64, dtype=torch.float64, generator=generator)
    plain = (p.double().cumsum(1) <= (u * p.double().sum(1))[:, None]).sum(1)
    assert search(p, u) == plain.tolist()


LAWS = [
    Decoder(Base()),
    Decoder(Base(temperature=0.7)),
    Decoder(Base(), 0.3, 0.0, UNIFORM),
    Decoder(Base(greedy=True), 0.2, 0.0, UNIFORM),
    Decoder(Base(), 0.1, 0.3, UNIFORM, Route("top_k", 3)),
    Decoder(Base(top_p=0.8), 0.0, 0.4, NO_ROUTE, Route("top_k", 2)),
    Decoder(Base(top_k=2), 0.25, 0.5, Route("top_k", 4), UNIFORM),
    Decoder(Base(min_p=0.1), 0.05, 0.0, UNIFORM),
    Decoder(Base(typical_p=0.6), 0.05, 0.0, UNIFORM),
    Decoder(Base(eta=0.04), 0.05, 0.0, UNIFORM),
    Decoder(Base(temperature=1.3, top_k=6, top_p=0.9), 0.1, 0.1, UNIFORM, Route("top_k", 2)),
]
SIZE, DRAWS = 12, 200_000
LOGITS = torch.linspace(2, -2, SIZE)[torch.tensor([3, 1, 0, 2, 5, 4, 7, 6, 9, 8, 11, 10])]
VOCABULARY = Vocabulary(SIZE, np.array([0, 1, 2, 4, 5, 6, 7, 8, 9, 11]), frozenset())  # 3 and 10 left out


def delta(route: Route) -> torch.Tensor:
    """δ in closed form, (1, SIZE)."""
    mass = torch.zeros(1, SIZE)
    allowed = VOCABULARY.allowed.tolist()
    if route.kind == "top_k":
        allowed = sorted(allowed, key=lambda token: -LOGITS[token].item())[: route.k]
    mass[0, allowed] = 1 / len(allowed)
    return mass


def draw(decoder: Decoder, seed: int = 1) -> Sampler:
    noise = np.random.Generator(np.random.Philox(seed)).random((DRAWS, 5, 1))
    every = np.arange(DRAWS)
    sampler = Sampler([decoder], np.zeros(DRAWS, dtype=int), every, noise, VOCABULARY)
    sampler(LOGITS[None], np.zeros(DRAWS, dtype=int), every, 0)
    return sampler


@pytest.mark.parametrize("decoder", LAWS, ids=lambda d: f"{d.base}-{d.q}-{d.lam}")
def test_tokens_follow_the_law(decoder: Decoder) -> None:
    """χ² over 200,000 draws; each of the 11 laws raises a false alarm with probability 1e-4."""
    base = probabilities(LOGITS[None], decoder.base)
    law = routed(base, delta(decoder.q_route), delta(decoder.lambda_route), decoder.q, decoder.lam)[0]
    sampler = draw(decoder)
    counts = np.bincount(sampler.tokens[:, 0], minlength=SIZE)
    possible = law.numpy() > 0
    assert counts[~possible].sum() == 0
    expected = law.double().numpy()[possible]
    if possible.sum() > 1:
        result = stats.chisquare(counts[possible], expected / expected.sum() * DRAWS)
        assert result.pvalue > 1e-4
    for route, rate in ((1, decoder.q), (2, (1 - decoder.q) * decoder.lam)):
        observed = (sampler.taken[:, 0] == route).mean()
        assert abs(observed - rate) <= 4.5 * np.sqrt(rate * (1 - rate) / DRAWS)


def test_chi_square_sees_a_wrong_law() -> None:
    """The check above is able to fail: q = 0.30 against 0.31."""
    counts = np.bincount(draw(Decoder(Base(), 0.31, 0.0, UNIFORM)).tokens[:, 0], minlength=SIZE)
    law = routed(probabilities(LOGITS[None], Base()), delta(UNIFORM), delta(UNIFORM), 0.30, 0.0)[0]
    assert stats.chisquare(counts, law.double().numpy() / law.double().sum().item() * DRAWS).pvalue < 1e-4


def test_endpoints_are_exact() -> None:
    plain, unrouted = draw(Decoder(Base())), draw(Decoder(Base(), 0.0, 0.0))
    assert np.array_equal(plain.tokens, unrouted.tokens) and not plain.taken.any()
    noise_only = draw(Decoder(Base(), 1.0, 0.0, UNIFORM))
    assert (noise_only.taken == 1).all() and set(noise_only.tokens[:, 0]) == set(VOCABULARY.allowed)
    # λ = 1 explores at every step; a random route never draws what the vocabulary leaves out
    explore = draw(Decoder(Base(), 0.0, 1.0, NO_ROUTE, Route("top_k", 3)))
    assert (explore.taken == 2).all() and len(set(explore.tokens[:, 0])) == 3


def test_log_probabilities_are_those_of_the_drawn_tokens() -> None:
    sampler = draw(Decoder(Base(top_k=2), 0.25, 0.0, UNIFORM))
    base = probabilities(LOGITS[None], Base(top_k=2)).log()[0].numpy()
    model = torch.log_softmax(LOGITS, 0).numpy()
    assert np.allclose(sampler.logprobs[:, 0], base[sampler.tokens[:, 0]], atol=1e-6)
    assert np.allclose(sampler.model_logprobs[:, 0], model[sampler.tokens[:, 0]], atol=1e-6)
    assert np.isneginf(sampler.logprobs[:, 0]).any(), "top-k gives nothing to most random tokens"
