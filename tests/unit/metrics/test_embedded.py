"""Vendi and MAUVE: published values, the libraries' own results, and what an interval needs of them."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from random_routing.metrics import METRICS, CellTexts
from random_routing.metrics.mauve import MIXTURES, clustered, mauve, mauve_stats, prepared
from random_routing.metrics.vendi import vendi_stats
from random_routing.resampling.intervals import by_example, resampled
from random_routing.resampling.weights import resample_weights
from tests.helpers.cell_texts import cell, value

EXAMPLES = 240


def with_kernel(kernel: np.ndarray) -> CellTexts:
    """Texts whose embeddings have these cosines: X with X·Xᵀ = K."""
    values, vectors = np.linalg.eigh(kernel)
    return cell(["x"] * len(kernel), text_embeddings=vectors * np.sqrt(np.clip(values, 0, None)))


def test_vendi_is_the_readmes() -> None:
    """The two examples of the README of vendi-score: 2.9999 (cut off, not rounded) and 2.1573."""
    samples = np.array([0, 0, 10, 10, 20, 20])
    kernel = np.exp(-np.abs(samples[:, None] - samples))
    assert 2.9999 < value("vendi", with_kernel(kernel)) < 3
    kernel = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert value("vendi", with_kernel(kernel)) == pytest.approx(2.1573, abs=5e-5)


def test_vendi_by_hand() -> None:
    assert value("vendi", with_kernel(np.eye(4))) == pytest.approx(4)  # nothing in common
    assert value("vendi", with_kernel(np.ones((4, 4)))) == pytest.approx(1)  # all the same


def test_vendi_of_resamples_is_right_to_first_order() -> None:
    """Weights near 1: the re-sum against the score of the weighted texts."""
    random = np.random.Generator(np.random.Philox(2))
    x = random.normal(size=(300, 6)) * [3, 2, 1, 1, 1, 1]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    stats = vendi_stats(cell(["x"] * 300, text_embeddings=x))
    weights = 1 + 0.05 * random.standard_normal(300)
    values = np.linalg.eigvalsh((x * weights[:, None]).T @ x / weights.sum())
    exact = math.exp(-(values * np.log(values)).sum())
    linear = float(METRICS["vendi"].aggregate(weights @ stats))
    whole = value("vendi", cell(["x"] * 300, text_embeddings=x))
    assert abs(linear - exact) < 0.03 * abs(whole - exact) + 1e-4


def cloud(seed: int, shift: float, rows: int = EXAMPLES) -> np.ndarray:
    random = np.random.Generator(np.random.Philox(seed))
    x = random.normal(size=(rows, 12)) * np.linspace(3, 0.3, 12) + shift * np.eye(12)[0]
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def two_clouds(shift: float) -> CellTexts:
    texts, human = cloud(1, shift), cloud(2, 0.0)
    return cell(["x"] * EXAMPLES, text_embeddings=texts, reference_embeddings=human)


@pytest.mark.parametrize("shift", [0.0, 1.0, 4.0])
def test_mauve_is_mauve_texts(shift: float) -> None:
    """The library's own score for each seed, given the rows in the order that ours sorts them into."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mauve import compute_mauve

        texts = two_clouds(shift)
        p, q = (x[np.lexsort(x.T[::-1])] for x in (texts.text_embeddings, texts.reference_embeddings))
        expected = [
            compute_mauve(p_features=p, q_features=q, seed=seed, verbose=False).mauve for seed in range(5)
        ]
    stats = mauve_stats(texts)
    found = METRICS["mauve"].aggregate(stats.sum(0))
    assert found == pytest.approx(expected, abs=1e-9)
    assert len(set(found.round(6))) > 1  # seeds differ


def test_mauve_falls_with_distance_and_is_1_of_the_same() -> None:
    near, far = value("mauve", two_clouds(0.0)), value("mauve", two_clouds(4.0))
    assert 1 >= near > 0.85 > 0.6 > far > 0
    human = cloud(2, 0.0)
    same = cell(["x"] * EXAMPLES, text_embeddings=human, reference_embeddings=human)
    assert value("mauve", same) == pytest.approx(1)
    assert value("mauve", cell(["x"] * 5)) == pytest.approx(1)  # all vectors are one


def test_mauve_by_hand() -> None:
    """Histograms that share nothing: KL(q‖m) = −log(1−w), KL(p‖m) = −log w, so the curve is ((1−w)⁵, w⁵)."""
    x, y = np.append((1 - MIXTURES) ** 5, [0, 1]), np.append(MIXTURES**5, [1, 0])
    order = np.argsort(x)
    expected = np.trapezoid(y[order], x[order])
    assert mauve(np.array([[3.0, 0]]), np.array([[0, 7.0]]))[0] == pytest.approx(expected)
    assert mauve(np.array([[3.0, 1]]), np.array([[6.0, 2]]))[0] == pytest.approx(1)


def test_mauve_influences_are_those_of_leaving_an_example_out() -> None:
    texts = two_clouds(1.0)
    points, place = prepared(texts.reference_embeddings, texts.text_embeddings)
    label = clustered(points, 24, seed=0)[place]
    labels = label[EXAMPLES:], label[:EXAMPLES]
    p, q = (np.bincount(own, minlength=24) for own in labels)
    whole, without = mauve(p[None], q[None])[0], []
    for a, b in zip(*labels, strict=True):
        left = [np.array(counts, dtype=float) for counts in (p, q)]
        left[0][a] -= 1
        left[1][b] -= 1
        without.append(mauve(left[0][None], left[1][None])[0])
    expected = whole + (EXAMPLES - 1) * (np.mean(without) - np.array(without))
    assert mauve_stats(texts)[:, 0] == pytest.approx(expected)


def test_mauve_does_not_depend_on_order_and_counts_an_examples_texts_together() -> None:
    texts = two_clouds(1.0)
    order = np.random.Generator(np.random.Philox(5)).permutation(EXAMPLES)
    turned = cell(
        ["x"] * EXAMPLES, text_embeddings=texts.text_embeddings[order],
        reference_embeddings=texts.reference_embeddings[order],
    )  # fmt: skip
    assert mauve_stats(turned) == pytest.approx(mauve_stats(texts)[order])
    twice = np.repeat(np.arange(EXAMPLES), 2)
    double = cell(
        ["x"] * 2 * EXAMPLES, example=twice, examples=EXAMPLES,
        text_embeddings=np.concatenate([texts.text_embeddings, cloud(9, 1.0)]),
        reference_embeddings=texts.reference_embeddings[twice],
    )  # fmt: skip
    stats = mauve_stats(double)
    assert stats[::2, -1].tolist() == [1] * EXAMPLES and not stats[1::2].any()


def test_the_spread_of_the_seeds_is_in_the_interval() -> None:
    """Five values, the same for all examples: the resamples' only spread is that of the seeds."""
    stats = np.tile([0.2, 0.3, 0.4, 0.5, 0.6, 1.0], (50, 1))
    found = resampled(stats, resample_weights(50, 1000, 1), METRICS["mauve"].aggregate)
    assert found.value == pytest.approx(0.4)
    low, high = found.interval(0.95)
    assert (low, high) == (pytest.approx(0.2), pytest.approx(0.6))
    real = two_clouds(1.0)
    sums = by_example(mauve_stats(real), real.example, EXAMPLES)
    weights = resample_weights(EXAMPLES, 1000, 2)
    own = [resampled(sums[:, [seed, 5]], weights, lambda x: x[..., 0] / x[..., 1]) for seed in range(5)]
    wide = resampled(sums, weights, METRICS["mauve"].aggregate).interval(0.95)
    assert wide[1] - wide[0] > np.median([np.subtract(*one.interval(0.95)[::-1]) for one in own])


def test_the_bootstrap_has_the_spread_of_fresh_texts() -> None:
    """16 sets of texts of two known laws that are apart: the standard deviation of their values against that
    of a bootstrap of one set (between 0.8 and 2 times it; 16 draws know theirs to a sixth)."""
    sets = [
        cell(
            ["x"] * EXAMPLES, text_embeddings=cloud(100 + i, 4.0), reference_embeddings=cloud(300 + i, 0.0)
        )
        for i in range(16)
    ]
    drawn = [
        resampled(mauve_stats(one), resample_weights(EXAMPLES, 300, i), METRICS["mauve"].aggregate)
        for i, one in enumerate(sets)
    ]
    spread = np.std([one.value for one in drawn])
    assert 0.8 < np.median([one.resamples.std() for one in drawn]) / spread < 2
    truth = np.mean([one.value for one in drawn])
    assert sum(low <= truth <= high for low, high in (one.interval(0.95) for one in drawn)) >= 14
