"""Drawn tokens follow the law in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from random_routing.decode.model_call import Call
from random_routing.decode.sampler import Sampler
from random_routing.decode.trajectory import Trajectory
from random_routing.law.cells import NO_ROUTE, Decoder
from random_routing.law.mixing import routed
from random_routing.law.noise import Source
from random_routing.law.origin import Origin
from random_routing.law.probabilities import probabilities
from random_routing.law.routes import frozen, unigram
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Base, Gate, Route, Schedule
from tests.helpers import LONG

UNIFORM, UNIGRAM, FROZEN = Route("uniform"), Route("unigram"), Route("frozen", concentration=1.0)
ENTROPY = Gate("entropy", scale=0.6)

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
    Decoder(Base(), 0.1, 0.3, UNIFORM, UNIFORM),  # two gates, where one with r = 0.37 has the same law
    Decoder(Base(), 0.3, 0.2, UNIGRAM, UNIFORM),
    Decoder(Base(greedy=True), 0.3, 0.2, UNIFORM, UNIGRAM),
    Decoder(Base(), 0.4, 0.0, FROZEN),  # over texts its distributions average to the uniform one
    Decoder(Base(), 0.2, 0.3, UNIFORM, UNIGRAM, q_gate=ENTROPY),
    Decoder(Base(top_k=3), 0.2, 0.3, UNIFORM, UNIGRAM, q_gate=ENTROPY, lambda_gate=ENTROPY),
    Decoder(Base(), 0.2, 0.3, UNIFORM, UNIGRAM, Gate("sequence"), Gate("span", 4.0)),
    Decoder(Base(), 0.5, 0.5, UNIFORM, UNIGRAM, q_schedule=Schedule("linear", 0.5, 0, 9)),
    Decoder(Base(top_k=6), 0.2, 0.3, UNIFORM, UNIGRAM, mix="before"),
    Decoder(Base(top_p=0.9, temperature=0.8), 0.2, 0.3, UNIFORM, Route("top_k", 2), mix="before"),
    Decoder(Base(), 0.4, 0.0, FROZEN, mix="before"),
    Decoder(Base(greedy=True), 0.2, 0.3, UNIFORM, UNIGRAM, mix="before"),
    Decoder(Base(top_k=6), 0.2, 0.3, UNIFORM, UNIGRAM, Gate("sequence"), ENTROPY, mix="before"),
]
COLUMNS = ("token_ids", "routes", "logprobs", "model_logprobs", "ranks", "entropies")
SIZE, MANY = 12, 200_000
DRAWS = MANY if LONG else 40_000
LOGITS = torch.linspace(2, -2, SIZE)[torch.tensor([3, 1, 0, 2, 5, 4, 7, 6, 9, 8, 11, 10])]
VOCABULARY = Vocabulary(SIZE, np.array([0, 1, 2, 4, 5, 6, 7, 8, 9, 11]), frozenset())  # 3 and 10 left out
TABLES = {UNIGRAM: unigram([[0, 0, 0, 0, 1, 1, 5, 9, 11, 3, 3]], VOCABULARY)}


def delta(route: Route) -> torch.Tensor:
    """δ in closed form, (1, SIZE)."""
    mass = torch.zeros(1, SIZE)
    allowed = VOCABULARY.allowed.tolist()
    if route == UNIGRAM:
        return torch.from_numpy(TABLES[UNIGRAM])[None].float()
    if route.kind == "top_k":
        allowed = sorted(allowed, key=lambda token: -LOGITS[token].item())[: route.k]
    mass[0, allowed] = 1 / len(allowed)
    return mass


def draw(decoder: Decoder, seed: int = 1, draws: int = DRAWS) -> Trajectory:
    """Of the first steps of as many texts, as if they were the tokens of one."""
    noise = np.random.Philox(seed).random_raw((draws, 5, 1)).view(np.int64)
    every = np.arange(draws)
    sources = [Source(seed, "t", "", text) for text in range(draws)] if "frozen" in kinds(decoder) else ()
    sampler = Sampler(
        [decoder], np.zeros(draws, dtype=int), every, noise, VOCABULARY, sources=sources, tables=TABLES
    )
    sampler(Call(LOGITS[None], torch.zeros(draws, dtype=torch.long), torch.arange(draws), 0, None))
    made = sampler.made
    columns = {name: getattr(made, name)[:, 0].numpy() for name in COLUMNS}
    return Trajectory(**columns, ended=False)


def kinds(decoder: Decoder) -> tuple[str, str]:
    return decoder.q_route.kind, decoder.lambda_route.kind


def gate_weight(gate: Gate, schedule: Schedule, rate: float) -> float:
    """Of the first step, written out by hand."""
    p = torch.softmax(LOGITS.double(), 0)
    share = 0.6 * -(p * p.log()).sum().item() / math.log(SIZE)
    return (share if gate.kind == "entropy" else rate) * schedule.start


def closed_form(decoder: Decoder) -> tuple[np.ndarray, float, float]:
    """(SIZE,) probabilities of the tokens, and the shares of steps on the q-route and the λ-route."""
    w_q = gate_weight(decoder.q_gate, decoder.q_schedule, decoder.q)
    w_lambda = gate_weight(decoder.lambda_gate, decoder.lambda_schedule, decoder.lam)
    delta_q, delta_lambda = delta(decoder.q_route), delta(decoder.lambda_route)
    if decoder.mix == "after":
        base = probabilities(LOGITS[None], decoder.base)
        law = routed(base, delta_q, delta_lambda, w_q, w_lambda)
        return law[0].double().numpy(), w_q, (1 - w_q) * w_lambda
    own, tokens, shares = torch.softmax(LOGITS[None], 1), torch.zeros(SIZE), [0.0, 0.0]
    cases = [(1.0, w_q)] if decoder.q_gate.kind != "sequence" else [(w_q, 1.0), (1 - w_q, 0.0)]
    for chance, weight in cases:
        mixture = routed(own, delta_q, delta_lambda, weight, w_lambda)
        law = chance * probabilities(mixture.log(), decoder.base)[0]
        tokens += law
        shares[0] += (law * weight * delta_q / mixture).nansum().item()
        shares[1] += (law * (1 - weight) * w_lambda * delta_lambda / mixture).nansum().item()
    return tokens.double().numpy(), shares[0], shares[1]


@pytest.mark.parametrize("number", range(len(LAWS)))
def test_tokens_follow_the_law(number: int) -> None:
    """χ² over 40,000 draws (200,000 in the long version); each of the 24 laws raises a false alarm with
    probability 1e-4."""
    decoder = LAWS[number]
    law, q_share, lambda_share = closed_form(decoder)
    made = draw(decoder)
    counts = np.bincount(made.token_ids, minlength=SIZE)
    possible = law > 0
    assert counts[~possible].sum() == 0
    if possible.sum() > 1:
        expected = law[possible] / law[possible].sum() * DRAWS
        assert stats.chisquare(counts[possible], expected).pvalue > 1e-4
    for origin, rate in ((Origin.Q, q_share), (Origin.LAMBDA, lambda_share)):
        observed = (made.routes == origin).mean()
        assert abs(observed - rate) <= 4.5 * np.sqrt(rate * (1 - rate) / DRAWS) + 1e-7


def test_a_frozen_distribution_is_one_for_a_text() -> None:
    """Two random tokens of a text agree with probability Σδ², whose mean under a flat Dirichlet
    distribution over n tokens is 2/(n+1), not 1/n; |z| < 4.5, false alarm below 1e-5."""
    texts, allowed = 20_000 if LONG else 5_000, len(VOCABULARY.allowed)
    sources = [Source(5, "t", str(text), 0) for text in range(texts)]
    every = np.arange(texts)
    noise = np.stack([source.steps(2) for source in sources])
    law = Decoder(Base(), 1.0, 0.0, FROZEN)
    sampler = Sampler([law], np.zeros(texts, dtype=int), every, noise, VOCABULARY, sources=sources)
    for step in range(2):
        sampler(Call(LOGITS[None], torch.zeros(texts, dtype=torch.long), torch.arange(texts), step, None))
    same, expected = (
        (sampler.made.token_ids[:, 0] == sampler.made.token_ids[:, 1]).numpy().mean(),
        2 / (allowed + 1),
    )
    assert abs(same - expected) < 4.5 * np.sqrt(expected * (1 - expected) / texts)


@pytest.mark.parametrize("concentration", [0.001, 0.1, 1.0, 1000.0])
def test_a_frozen_distribution_is_one(concentration: float) -> None:
    mass = frozen(
        Source(1, "t", "a", 0).uniforms("frozen", len(VOCABULARY.allowed)), concentration, VOCABULARY
    )
    assert mass.sum() == pytest.approx(1) and mass[[3, 10]].tolist() == [0, 0]
    assert frozen(np.full(len(VOCABULARY.allowed), 0.0), concentration, VOCABULARY).sum() == pytest.approx(
        1
    )


def test_unigram_counts_what_may_be_drawn() -> None:
    assert unigram([[0, 1, 1, 3], [10, 1]], VOCABULARY).tolist() == [0.25, 0.75, *[0] * 10]
    with pytest.raises(ValueError, match="no token"):
        unigram([[3, 10]], VOCABULARY)


def test_truncation_comes_before_mixing_or_after_it() -> None:
    """Base top-k 1 with a uniform route: mixing after it, every token is drawn; before it, only one."""
    after = draw(Decoder(Base(top_k=1), 0.3, 0.0, UNIFORM))
    before = draw(Decoder(Base(top_k=1), 0.3, 0.0, UNIFORM, mix="before"))
    assert set(after.token_ids) == set(VOCABULARY.allowed.tolist())
    assert set(before.token_ids) == {int(LOGITS.argmax())}


def test_cells_of_equal_rate_agree_under_independent_noise() -> None:
    """(q, λ) = (0.1, 0.3), (0.3, 0.1) and r = 0.37, each with noise of its own: homogeneity of the tokens
    by χ², false alarm 1e-4; r = 0.37 against 0.40 fails it."""
    cells = [(0.1, 0.3), (0.3, 0.1), (0.37, 0.0), (0.40, 0.0)]
    counts = [
        np.bincount(draw(Decoder(Base(), q, lam, UNIFORM, UNIFORM), seed, MANY).token_ids, minlength=SIZE)
        for seed, (q, lam) in enumerate(cells)
    ]
    table = np.stack(counts)
    assert stats.chi2_contingency(table[:3]).pvalue > 1e-4
    assert stats.chi2_contingency(table[2:]).pvalue < 1e-4


def test_chi_square_sees_a_wrong_law() -> None:
    """The check above is able to fail: q = 0.30 against 0.31."""
    counts = np.bincount(draw(Decoder(Base(), 0.31, 0.0, UNIFORM), draws=MANY).token_ids, minlength=SIZE)
    law = routed(probabilities(LOGITS[None], Base()), delta(UNIFORM), delta(UNIFORM), 0.30, 0.0)[0]
    assert stats.chisquare(counts, law.double().numpy() / law.double().sum().item() * MANY).pvalue < 1e-4


def test_endpoints_are_exact() -> None:
    plain, unrouted = draw(Decoder(Base())), draw(Decoder(Base(), 0.0, 0.0))
    assert np.array_equal(plain.token_ids, unrouted.token_ids) and not plain.routes.any()
    noise_only = draw(Decoder(Base(), 1.0, 0.0, UNIFORM))
    assert (noise_only.routes == Origin.Q).all() and set(noise_only.token_ids) == set(VOCABULARY.allowed)
    # λ = 1 explores at every step; a random route never draws what the vocabulary leaves out
    explore = draw(Decoder(Base(), 0.0, 1.0, NO_ROUTE, Route("top_k", 3)))
    assert (explore.routes == Origin.LAMBDA).all() and len(set(explore.token_ids)) == 3


def test_log_probabilities_are_those_of_the_drawn_tokens() -> None:
    made = draw(Decoder(Base(top_k=2), 0.25, 0.0, UNIFORM))
    base = probabilities(LOGITS[None], Base(top_k=2)).log()[0].numpy()
    model = torch.log_softmax(LOGITS, 0).numpy()
    assert np.allclose(made.logprobs, base[made.token_ids], atol=1e-6)
    assert np.allclose(made.model_logprobs, model[made.token_ids], atol=1e-6)
    assert np.isneginf(made.logprobs).any(), "top-k gives nothing to most random tokens"
