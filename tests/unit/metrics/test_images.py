"""Images against real ones: closed forms, the published code of PRDC, and what an interval needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import sqrtm

from random_routing.metrics import METRICS, CellTexts, metrics_of
from random_routing.metrics.images import frechet_stats
from tests.helpers.cell_texts import cell, value

RANDOM = np.random.Generator(np.random.Philox(5))


def images(features: np.ndarray, real: np.ndarray, samples: int = 1, **given: Any) -> CellTexts:
    """features: (E · samples, D); real: (E · K, D), dealt to the examples in order."""
    examples = len(features) // samples
    return cell(
        ["x"] * len(features),
        example=np.repeat(np.arange(examples), samples),
        examples=examples,
        features=features,
        real_features=np.split(real, examples),
        **given,
    )


def plain_frechet(one: np.ndarray, two: np.ndarray) -> float:
    """As the code of Heusel et al. 2017 has it, with the covariances of the images themselves."""
    s, c = np.cov(one.T, bias=True), np.cov(two.T, bias=True)
    apart = ((one.mean(0) - two.mean(0)) ** 2).sum()
    return float(apart + np.trace(s + c - 2 * sqrtm(s @ c).real))


def test_frechet_of_a_shift_and_a_stretch() -> None:
    """A shift by v costs |v|²; twice as wide in a direction of variance s² costs (2s − s)²."""
    real = RANDOM.normal(size=(60, 3))
    assert value("frechet_distance", images(real, real)) == pytest.approx(0, abs=1e-9)
    assert value("frechet_distance", images(real + np.array([3, 0, 4]), real)) == pytest.approx(25)
    centred = real - real.mean(0)
    independent = np.linalg.svd(centred, full_matrices=False)[0] * np.sqrt(60)  # unit covariance
    assert value("frechet_distance", images(independent * [2, 1, 1], independent)) == pytest.approx(1)


def test_frechet_is_the_usual_formula() -> None:
    one, two = RANDOM.normal(size=(80, 4)) @ RANDOM.normal(size=(4, 4)), RANDOM.normal(size=(240, 4))
    assert value("frechet_distance", images(one, two)) == pytest.approx(plain_frechet(one, two))


def test_frechet_of_one_image_over_and_over() -> None:
    """No spread at all: the distance of the means, and the trace of the real covariance."""
    real = RANDOM.normal(size=(60, 3))
    found = value("frechet_distance", images(np.tile([1.0, 2.0, 3.0], (30, 1)), real))
    assert found == pytest.approx(((real.mean(0) - [1, 2, 3]) ** 2).sum() + real.var(0).sum())


def test_frechet_of_resamples_is_right_to_first_order() -> None:
    """Examples weighted a little otherwise: the re-sum against the distance of the weighted images."""
    one, two = RANDOM.normal(size=(300, 3)) * [2, 1, 1] + [0.5, 0, 0], RANDOM.normal(size=(300, 3))
    stats = frechet_stats(images(one, two))
    whole, weights = plain_frechet(one, two), 1 + 0.03 * RANDOM.standard_normal(300)

    def moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.average(rows, axis=0, weights=weights), np.cov(rows.T, bias=True, aweights=weights)

    (m, s), (n, c) = moments(one), moments(two)
    exact = float(((m - n) ** 2).sum() + np.trace(s + c - 2 * sqrtm(s @ c).real))
    linear = float(METRICS["frechet_distance"].aggregate(weights @ stats))
    assert abs(exact - whole) > 0.002  # there is something to be right about
    assert abs(linear - exact) < 0.1 * abs(exact - whole)


def published_prdc(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    """compute_prdc of Naeem et al. 2020 (clovaai/generative-evaluation-prdc), in NumPy alone."""

    def pairwise(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.array([[np.linalg.norm(x - y) for y in b] for x in a])

    def kth(rows: np.ndarray) -> np.ndarray:
        return np.sort(pairwise(rows, rows), axis=1)[:, k]  # itself is the 0th

    apart, of_real, of_fake = pairwise(real, fake), kth(real), kth(fake)
    return {
        "precision": float((apart < of_real[:, None]).any(axis=0).mean()),
        "recall": float((apart < of_fake[None]).any(axis=1).mean()),
        "density": float((1 / k) * (apart < of_real[:, None]).sum(axis=0).mean()),
        "coverage": float((apart.min(axis=1) < of_real).mean()),
    }


@pytest.mark.parametrize("name", ["precision", "recall", "density", "coverage"])
def test_prdc_is_the_published(name: str) -> None:
    for shift in (0.0, 1.0, 3.0):
        real, fake = RANDOM.normal(size=(120, 4)), RANDOM.normal(size=(80, 4)) * 0.8 + shift
        expected = published_prdc(real, fake, 5)[name]
        assert value(name, images(fake, real, samples=2)) == pytest.approx(expected)


def test_prdc_by_hand() -> None:
    """Ten real images in two heaps of a point each with a spread; all images lie in one heap."""
    heap = np.linspace(0, 1, 6)[:, None]
    real = np.concatenate([heap, heap + 100])
    found = {name: value(name, images(heap + 0.01, real)) for name in ("precision", "recall", "coverage")}
    assert found["precision"] == 1 and found["recall"] == 0.5 and found["coverage"] == 0.5
    far = images(heap - 1000, real)
    assert all(value(name, far) == 0 for name in ("precision", "recall", "density", "coverage"))


def test_kernel_distance_has_no_bias() -> None:
    """Of images like the real ones it is 0 on average, which a squared mean of so few would not be: over 200 draws the
    mean is within 4 standard errors of 0 (false alarm 6e-5), and far below what a plain square has.
    """
    found = [
        value("kernel_distance", images(RANDOM.normal(size=(20, 4)), RANDOM.normal(size=(20, 4))))
        for _ in range(200)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(200)
    assert value("kernel_distance", images(real := RANDOM.normal(size=(40, 4)), real)) == pytest.approx(0)


def test_kernel_distance_of_far_images() -> None:
    """Of two points without anything in common the kernel is nearly 0 between, 1 within: 1 + 1 − 0."""
    one, two = np.zeros((20, 16)), np.full((20, 16), 10.0)
    assert value("kernel_distance", images(one, two)) == pytest.approx(2, abs=0.35)
    near = value("kernel_distance", images(one, one + 0.5))
    # Σ over both of a Gaussian kernel of width 4: 2 − 2·exp(−16·0.25 / 32)
    assert near == pytest.approx(2 - 2 * np.exp(-4 / 32), rel=0.35)


def test_accuracy_by_hand() -> None:
    asked = [{"label": 3}, {"label": 3}, {"label": 7}, {"label": 0}]
    texts = images(np.zeros((4, 2)), np.zeros((4, 2)), meta=asked, predicted=np.array([3, 8, 7, 1]))
    assert value("class_accuracy", texts) == 0.5


def test_what_images_have() -> None:
    names = [metric.name for metric in metrics_of("images", METRICS)]
    assert {"vendi", "sample_spread", "class_accuracy", "frechet_distance", "coverage"} <= set(names)
    assert not {"distinct_2", "perplexity", "mauve"} & set(names)
    own = set(names) - {"vendi", "sample_spread"}
    assert not own & {metric.name for metric in metrics_of("textgen", METRICS)}
    assert METRICS["frechet_distance"].missing(19, 4) == "needs 20 examples; there are 19"
    assert METRICS["precision"].missing(5, 4) == "needs 6 examples; there are 5"
