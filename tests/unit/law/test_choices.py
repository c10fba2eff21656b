"""The law of a single choice: closed forms by hand, and labels that the sampler draws by it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from random_routing.decode.model_call import Call
from random_routing.decode.sampler import Sampler
from random_routing.law.cells import Decoder
from random_routing.law.choices import choice_law
from random_routing.law.noise import Source
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Annealing, Base, Gate, Route
from tests.helpers import LONG

WIDTH, CHOICES = 40, (3, 17, 30)  # of the model's logits; the labels' tokens
LOGITS = torch.tensor([[1.0, -0.5, 0.3]])
P = torch.softmax(LOGITS, 1).double()[0]
UNIFORM, TOP, UNIGRAM = Route("uniform"), Route("top_k", k=2), Route("unigram")
TABLE = np.array([0.2, 0.5, 0.3])
ENTROPY = Gate("entropy", scale=2.0)
DRAWS = 200_000 if LONG else 20_000

DECODERS = {
    "sample": Decoder(Base()),
    "greedy": Decoder(Base(greedy=True)),
    "temperature": Decoder(Base(temperature=1.7)),
    "annealing": Decoder(Base(temperature=Annealing("linear", start=2.0, end=0.5))),
    "top_p": Decoder(Base(top_p=0.8)),
    "min_p": Decoder(Base(min_p=0.3)),
    "uniform": Decoder(Base(), q=0.3, q_route=UNIFORM),
    "greedy, uniform": Decoder(Base(greedy=True), q=0.3, q_route=UNIFORM),
    "two routes": Decoder(Base(), 0.2, 0.5, UNIFORM, TOP),
    "unigram": Decoder(Base(temperature=0.5), q=0.4, q_route=UNIGRAM),
    "frozen": Decoder(Base(), q=0.6, q_route=Route("frozen", concentration=0.5)),
    "span": Decoder(Base(), 0.3, 0.2, UNIFORM, TOP, Gate("span", mean=3.0), Gate("sequence")),
    "entropy": Decoder(Base(), 0.1, 0.3, UNIFORM, TOP, ENTROPY, ENTROPY),
    "before": Decoder(Base(temperature=0.4), 0.3, 0.2, UNIFORM, TOP, mix="before"),
    "before, truncated": Decoder(Base(top_p=0.7), q=0.3, q_route=UNIFORM, mix="before"),
    "before, span": Decoder(
        Base(temperature=0.4),
        0.3,
        0.2,
        UNIFORM,
        TOP,
        Gate("span", mean=3.0),
        Gate("sequence"),
        mix="before",
    ),
    "before, entropy": Decoder(Base(temperature=0.4), q=0.1, q_route=UNIFORM, q_gate=ENTROPY, mix="before"),
}


def law(decoder: Decoder) -> np.ndarray:
    found = choice_law(LOGITS, decoder, 1, WIDTH, {UNIGRAM: TABLE})
    assert found is not None and found.dtype == torch.float64
    return found.numpy()[0]


def test_by_hand() -> None:
    """r/3 + (1 − r)·p; the two likeliest are the first and the last; top-p 0.8 keeps them too: p = (.58, .13, .29)."""
    p = P.numpy()
    assert law(DECODERS["sample"]) == pytest.approx(p)
    assert law(DECODERS["uniform"]) == pytest.approx(0.1 + 0.7 * p)
    both = 0.2 / 3 + 0.8 * (0.5 * np.array([0.5, 0, 0.5]) + 0.5 * p)
    assert law(DECODERS["two routes"]) == pytest.approx(both)
    assert law(DECODERS["greedy, uniform"]) == pytest.approx([0.8, 0.1, 0.1])
    assert law(DECODERS["top_p"]) == pytest.approx(np.array([p[0], 0, p[2]]) / (p[0] + p[2]))
    assert law(DECODERS["span"]) == pytest.approx(0.1 + 0.7 * (0.2 * np.array([0.5, 0, 0.5]) + 0.8 * p))
    assert law(DECODERS["frozen"]) == pytest.approx(0.2 + 0.4 * p)  # δ's mean is uniform
    hot = (0.7 * p + 0.1) ** 2 / ((0.7 * p + 0.1) ** 2).sum()
    squared = Decoder(Base(temperature=0.5), q=0.3, q_route=UNIFORM, mix="before")
    assert law(squared) == pytest.approx(hot, rel=1e-5)
    rate = 2.0 * float(-(P * P.log()).sum()) / math.log(WIDTH)  # scale · H / log V
    gated = Decoder(Base(), q=0.1, q_route=UNIFORM, q_gate=ENTROPY)
    assert law(gated) == pytest.approx(rate / 3 + (1 - rate) * p, rel=1e-5)


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
def test_ends_and_sums(decoder: Decoder) -> None:
    assert law(decoder).sum() == pytest.approx(1, abs=1e-6) and (law(decoder) >= 0).all()


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
def test_drawn_labels_follow_it(decoder: Decoder) -> None:
    """χ² of labels that the sampler draws from barred logits; each of the 17 raises a false alarm with probability
    1e-5, and a shift of a label by 0.03 fails it."""
    logits = torch.full((1, WIDTH), -torch.inf)
    logits[0, list(CHOICES)] = LOGITS
    vocabulary = Vocabulary(WIDTH, np.array(CHOICES), frozenset())
    table = np.zeros(WIDTH)
    table[list(CHOICES)] = TABLE
    sources = [Source(5, "sentiment", "a", sample, "") for sample in range(DRAWS)]
    sampler = Sampler(
        [decoder], np.zeros(DRAWS, dtype=np.int64), np.arange(DRAWS), np.stack([s.steps(1) for s in sources]),
        vocabulary, "cpu", sources, {UNIGRAM: table},
    )  # fmt: skip
    every = torch.arange(DRAWS)
    token, _ = sampler(Call(logits, torch.zeros_like(every), every, 0, None))
    counts = np.bincount(token.numpy(), minlength=WIDTH)[list(CHOICES)]
    assert counts.sum() == DRAWS
    expected = law(decoder) * DRAWS
    assert not counts[expected == 0].any()
    some = expected > 0
    if some.sum() > 1:
        assert stats.chisquare(counts[some], expected[some] * counts.sum() / expected.sum()).pvalue > 1e-5


@pytest.mark.parametrize(
    "decoder",
    [
        Decoder(Base(), q=0.1, q_route=Route("heads", drop=0.2)),
        Decoder(Base(top_p=0.9), q=0.1, q_route=Route("frozen", concentration=1.0), mix="before"),
    ],
    ids=["along a path", "truncated after a random δ"],
)
def test_what_has_no_closed_form(decoder: Decoder) -> None:
    assert choice_law(LOGITS, decoder, 1, WIDTH) is None
