"""Distances from people's texts: known distributions, the mixture that fools a mean, and what may not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from random_routing.metrics import METRICS, CellTexts
from random_routing.metrics.against_people import below_cuts, distance, likely_cuts
from random_routing.resampling.intervals import by_example, resampled
from random_routing.resampling.weights import resample_weights
from tests.helpers.cell_texts import cell, value

WORDS = [f"{a}{b}{c}" for a in "mnrst" for b in "aeiou" for c in "lnrst"]
LOOP = " ".join(["the same again"] * 13)


def prose(random: np.random.Generator, words: int = 40) -> str:
    return " ".join(random.choice(WORDS, words))


def junk(random: np.random.Generator) -> str:
    return "".join(map(chr, random.integers(33, 500, 200)))


def texts(kinds: list[str], nats: list[float], seed: int = 0, samples: int = 1) -> CellTexts:
    """kinds: of each example, prose, loop or junk; nats: of its texts, a byte. People write prose of 1 nat a byte."""
    random, people = np.random.default_rng(seed), np.random.default_rng(99)
    count = len(kinds) * samples
    human = [prose(people) for _ in kinds]
    written = [
        {"prose": prose(random), "loop": LOOP, "junk": junk(random)}[kind]
        for kind in kinds
        for _ in range(samples)
    ]
    size = np.array([len(text) for text in written], dtype=float)
    human_size = np.repeat([float(len(text)) for text in human], samples)
    means, spread = np.repeat(nats, samples), random.normal(0, 0.1, count)
    vectors = random.normal(size=(2, count, 8))
    return cell(
        written, example=np.repeat(np.arange(len(kinds)), samples), examples=len(kinds),
        references=[[text] for text in human for _ in range(samples)], sources=[""] * count,
        judge_nll=size * (means + spread), judge_tokens=size,
        human_nll=human_size * (1 + np.repeat(people.normal(0, 0.1, len(kinds)), samples)),
        human_tokens=human_size, order=np.arange(count) / count,
        text_embeddings=vectors[0], reference_embeddings=np.repeat(vectors[1][::samples], samples, axis=0),
    )  # fmt: skip


def test_what_lies_below_cuts() -> None:
    found = below_cuts(np.array([0.5, np.nan, 1.0]), np.array([0.5, 0.9]))
    assert found.tolist() == [[1, 1], [0, 0], [0, 0]]
    cuts = likely_cuts(np.linspace(0, 1, 101))
    assert cuts[0] > 0.05 - 0.9 and cuts[-1] < 0.95 + 1.8 and np.allclose(np.diff(cuts), 0.9 * 4 / 24)
    assert np.isnan(likely_cuts(np.full(3, np.nan))).all()  # a judge that reads none of people's texts


def test_the_square_of_a_known_difference() -> None:
    """Two cuts of weight 1/2: shares differ by .3 and −.1 in each half: (.09 + .01)/2. Noise of mean 0 adds nothing."""
    random = np.random.default_rng(1)
    root = np.sqrt(0.5)

    def sums(examples: int) -> np.ndarray:
        half = np.arange(examples) % 2
        difference = (np.array([0.3, -0.1]) + random.normal(0, 0.5, (examples, 2))) * root
        parts = [difference * (half == side)[:, None] for side in (0, 1)]
        return np.hstack([*parts, (half == 0)[:, None], (half == 1)[:, None]]).sum(0)

    found = np.array([distance(sums(40)) for _ in range(4000)])
    assert abs(found.mean() - 0.05) < 4 * found.std() / np.sqrt(len(found))
    assert np.isnan(distance(np.array([1.0, 1, 1, 0, 1, 0])))  # a half without examples


def test_nearer_texts_have_the_smaller_distance() -> None:
    people = value("human_distance", texts(["prose"] * 200, [1.0] * 200))
    warmer, noise = (value("human_distance", texts(["prose"] * 200, [n] * 200)) for n in (1.3, 2.0))
    assert abs(people) < 0.002 < 0.01 < warmer < noise < 0.2
    assert value("told_apart", texts(["prose"] * 200, [1.0] * 200)) == pytest.approx(0.5, abs=0.1)
    assert value("told_apart", texts(["junk"] * 200, [3.0] * 200)) == 1.0


def test_loops_and_noise_together_are_not_as_good_as_prose() -> None:
    """24 loops and 8 junk texts with people's mean of nats a byte, against prose a little too surprising: the gap of
    means takes them for better, the distance does not in 99 % of resamples, nor does the classifier.
    """
    kinds, nats = ["loop"] * 24 + ["junk"] * 8, [0.2] * 24 + [3.4] * 8
    mixture, warm = texts(kinds, nats), texts(["prose"] * 32, [1.1] * 32)
    weights = resample_weights(32, 2000, 1)
    for name, least in (("human_distance", 0.99), ("told_apart", 0.99)):
        metric = METRICS[name]
        bad, good = (
            resampled(by_example(metric.stats(of), of.example, of.examples), weights, metric.aggregate)
            for of in (mixture, warm)
        )
        assert (bad.resamples > good.resamples).mean() >= least, name
    assert value("loops", mixture) == 0.75 and value("junk", mixture) >= 0.25
    assert value("loops", warm) == 0 and value("junk", warm) < 0.1


def test_the_order_of_the_examples_does_not_matter() -> None:
    made = texts(["prose", "loop"] * 10, [1.0, 0.3] * 10, samples=2)
    order = np.random.default_rng(3).permutation(20)
    rows = (order[:, None] * 2 + np.arange(2)).ravel()
    turned = CellTexts(**vars(made) | {
        name: held[rows] if isinstance(held, np.ndarray) else [held[row] for row in rows]
        for name, held in vars(made).items()
        if isinstance(held, np.ndarray | list) and len(held) == 40 and name != "example"
    })  # fmt: skip
    for name in ("human_distance", "told_apart", "junk", "sample_spread"):
        assert value(name, turned) == pytest.approx(value(name, made), abs=1e-9), name


def test_texts_that_cannot_be_judged_are_far_away() -> None:
    """Empty texts have no nats a byte: they count as less likely than all, not as likely ones."""
    made = texts(["prose"] * 40, [1.0] * 40)
    empty = replace(made, texts=[""] * 40, judge_nll=np.zeros(40), judge_tokens=np.zeros(40))
    assert value("human_distance", empty) > value("human_distance", made) + 0.05


def test_words_copied_from_the_context() -> None:
    made = cell(
        ["one two three four", "five six", "a b c"], sources=["zero one two three", "five six", "d e f"]
    )
    assert value("copied", made) == pytest.approx(1 / 3)  # (one two three) of it, (two three four), (a b c)
