"""Base decoders equal hand-computed distributions and Hugging Face: in closed form, and as decoding computes them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from transformers import (
    EtaLogitsWarper,
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from random_routing.law.base_decoders import Bases, distribution, plain, under
from random_routing.law.probabilities import block_sums, entropy, probabilities
from random_routing.settings import Base

P = torch.tensor([[0.5, 0.25, 0.15, 0.07, 0.03]])


def decoded(logits: torch.Tensor, base: Base) -> torch.Tensor:
    """p of what decoding draws from."""
    law = distribution(logits, base)
    return (law.weights / law.total[:, None]).float()


Way = Callable[[torch.Tensor, Base], torch.Tensor]
ways = pytest.mark.parametrize("way", [probabilities, decoded])


@ways
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
def test_base_by_hand(base: Base, expected: list[float], way: Way) -> None:
    logits = P.log() + 3.7  # any constant shift is the same distribution
    kept = logits.clone()
    assert way(logits, base)[0].tolist() == pytest.approx(expected, abs=1e-6)
    assert torch.equal(logits, kept), "inputs stay untouched"


def by_library(logits: torch.Tensor, base: Base) -> torch.Tensor:
    """Scores under Hugging Face's own processors, in the order in which `generate` applies them."""
    chain = LogitsProcessorList()
    assert isinstance(base.temperature, float)
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


@ways
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
def test_bases_equal_hugging_face(base: Base, spread: float, way: Way) -> None:
    """The same tokens are kept, with the same probabilities, among a wide vocabulary."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 70_001, generator=generator) * spread
    ours, library = way(logits, base), by_library(logits, base)
    alike = (ours > 0) == (library > 0)
    # fp32 sums of 70,001 terms put the edge of a nucleus a few tokens off in the library
    assert ((~alike).sum(1) <= (20 if base.top_p < 1 or base.typical_p < 1 else 0)).all()
    assert torch.allclose(ours[alike], library[alike], rtol=2e-3, atol=1e-8)


@pytest.mark.parametrize("spread", [0.5, 3.0])
def test_the_kept_sets_are_those_of_hugging_face(spread: float) -> None:
    """To the token, where its sums are short; every row has a base of its own."""
    bases = [Base(top_k=9), Base(top_p=0.2), Base(top_p=0.97), Base(min_p=0.02), Base(typical_p=0.2),
             Base(typical_p=0.95), Base(eta=0.0003), Base(eta=0.02), Base(top_k=30, typical_p=0.5),
             Base(temperature=0.6, top_p=0.9, eta=0.001), Base(temperature=2.0, top_k=700, min_p=0.01)]  # fmt: skip
    logits = torch.randn(len(bases), 5_000, generator=torch.Generator().manual_seed(6)) * spread
    kept = under(plain(logits), torch.arange(len(bases)), Bases.of(bases)).weights > 0
    for row, base in enumerate(bases):
        expected = by_library(logits[row, None], base)[0] > 0
        assert torch.equal(kept[row], expected), base
        assert torch.equal(probabilities(logits[row, None], base)[0] > 0, expected), base


@ways
def test_tokens_that_tie_with_the_last_of_a_nucleus_belong_to_it(way: Way) -> None:
    kept = way(torch.tensor([[2.0, 1.0, 1.0, 0.0]]), Base(top_p=0.6)) > 0
    assert kept.tolist() == [[True, True, True, False]]  # 0.53; 0.53 + 0.20 reaches 0.6


def test_rows_have_bases_of_their_own() -> None:
    """Each row under its base, as if it were alone; greedy takes the first of equals."""
    bases = [Base(), Base(greedy=True), Base(temperature=0.7), Base(top_k=2), Base(top_p=0.8, temperature=1.5),
             Base(typical_p=0.6), Base(eta=0.04), Base(top_k=4, min_p=0.25)]  # fmt: skip
    logits = torch.stack([P[0].log(), P[0].flip(0).log(), torch.zeros(5)])
    rows = torch.arange(3).repeat_interleave(len(bases))
    law = under(plain(logits), rows, Bases.of(bases)[torch.arange(len(bases)).repeat(3)])
    token = torch.arange(len(rows)) % 5
    for i, row in enumerate(rows.tolist()):
        alone = distribution(logits[row, None], bases[i % len(bases)])
        assert torch.equal(law.weights[i], alone.weights[0])
        assert torch.equal(law.log_probs(torch.tensor([i]), token[i, None]),
                           alone.log_probs(torch.tensor([0]), token[i, None]))  # fmt: skip
    assert law.weights[2 * len(bases) + 1].tolist() == [1, 0, 0, 0, 0]


def test_entropy_and_rank_by_hand() -> None:
    law = plain(torch.tensor([[0.5, 0.25, 0.25, 0.0], [0.25, 0.25, 0.25, 0.25]]).log())
    expected = [1.5 * math.log(2), math.log(4)]
    assert law.entropy().tolist() == pytest.approx(expected, abs=1e-6)
    assert entropy(law.logits).tolist() == pytest.approx(expected, abs=1e-6)
    rows, tokens = torch.tensor([0, 0, 0, 1, 0]), torch.tensor([0, 1, 2, 3, 3])
    assert law.ranks(rows, tokens).tolist() == [1, 2, 2, 1, 4]


@pytest.mark.parametrize("size", [1, 255, 256, 257, 5_121])
def test_sums_by_blocks(size: int) -> None:
    x = torch.randint(0, 4, (50, size), generator=torch.Generator().manual_seed(size)).float()
    assert block_sums(x).tolist() == x.double().sum(1).tolist()
