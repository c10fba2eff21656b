"""The classifier of images: what it has seen, how good it is, and bits that depend on an image alone."""

from __future__ import annotations

import numpy as np
import pytest

from random_routing.errors import PipelineError
from random_routing.scoring.pixel_features import PixelClassifier, fit, product, unit
from random_routing.tasks.digits import in_training, load_digits, spell
from tests.helpers.digits import digits_folder


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    return load_digits(digits_folder(tmp_path_factory.mktemp("digits")))


@pytest.fixture(scope="module")
def classifier(digits: tuple[np.ndarray, np.ndarray]) -> PixelClassifier:
    return fit(*digits)


def test_it_knows_held_out_images(
    classifier: PixelClassifier, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    """scikit-learn's example of a support vector machine has 97 % on half of these images."""
    images, labels = digits
    held_out = ~in_training(images)
    predicted = classifier([spell(image) for image in images[held_out]])[:, -1]
    assert classifier.accuracy == (predicted == labels[held_out]).mean() > 0.95


def test_features_are_standardised(
    classifier: PixelClassifier, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    seen = digits[0][in_training(digits[0])]
    features = classifier([spell(image) for image in seen])[:, :-1]
    assert features.mean(0) == pytest.approx(np.zeros(16), abs=1e-4)
    assert features.std(0) == pytest.approx(np.ones(16), abs=1e-4)


def test_the_same_bits_in_any_company(
    classifier: PixelClassifier, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    texts = [spell(image) for image in digits[0][:70]]
    whole = classifier(texts)
    assert whole.dtype == np.float32 and whole.shape == (70, 17)
    for part in ([5], [69, 5, 1], list(range(3, 36))):
        assert classifier([texts[i] for i in part]).tobytes() == whole[part].tobytes()


def test_it_is_fitted_the_same_way_again(
    classifier: PixelClassifier, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    """And from the training part alone: labels of held-out images change nothing but the accuracy."""
    images, labels = digits
    other = fit(images, np.where(in_training(images), labels, 9 - labels))
    assert other.digest == classifier.digest and other.accuracy < 0.2


def test_the_product_is_one() -> None:
    random = np.random.Generator(np.random.Philox(3))
    rows, weights = random.normal(size=(7, 5)), random.normal(size=(5, 3))
    assert product(rows, weights) == pytest.approx(rows @ weights)


def test_unit_vectors() -> None:
    assert unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [pytest.approx([0.6, 0.8]), [0, 0]]


def test_what_is_no_image(classifier: PixelClassifier) -> None:
    with pytest.raises(PipelineError, match=r"an image cannot be read .*3 grey levels"):
        classifier(["1 2 3"])
