"""Features and classes of images under an independent classifier, which has seen no image of the transformer.

A perceptron of scikit-learn, fitted here in a second to the real images that models may be trained on. Its last
hidden layer is what distances between images are taken in, as Inception's is for photographs.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from random_routing.errors import PipelineError
from random_routing.files import check_asset
from random_routing.metrics.metric import CellTexts
from random_routing.scoring.embedding import Embeddings
from random_routing.settings import Settings, Task
from random_routing.tasks.digits import LEVELS, in_training, load_digits, read_image

CODE_VERSION = 1  # raise it when a change of code changes features
HIDDEN = (
    64,
    16,
)  # tanh units of its layers; the last are the features (of rectified ones a half is always 0)


@dataclass(frozen=True)
class PixelClassifier:
    """weights, biases: of the three layers; mean, scale: (16,) of the features of the images it was fitted to;
    accuracy: on the held-out real images.
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    mean: np.ndarray
    scale: np.ndarray
    accuracy: float = 0.0

    @cached_property
    def digest(self) -> str:
        arrays = (*self.weights, *self.biases, self.mean, self.scale)
        return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()

    def layers(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Last hidden layer (N, 16) and scores of the classes (N, 10), float64, of images (N, 64)."""
        units = images / (LEVELS - 1)
        for weights, biases in zip(self.weights[:-1], self.biases[:-1], strict=True):
            units = np.tanh(product(units, weights) + biases)
        return units, product(units, self.weights[-1]) + self.biases[-1]

    def __call__(
        self, texts: Sequence[str], on_texts: Callable[[int], None] = lambda done: None
    ) -> np.ndarray:
        """(texts, 17) float32: standardised features, and the class. Raises `PipelineError` for what is no image."""
        try:
            images = np.stack([read_image(text) for text in texts])
        except ValueError as error:
            raise PipelineError(f"an image cannot be read ({error})") from None
        features, scores = self.layers(images)
        on_texts(len(texts))
        vectors = np.hstack([(features - self.mean) / self.scale, scores.argmax(1)[:, None]])
        return vectors.astype(np.float32)


def product(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N, I) · (I, J), each sum in one order: a library's product may round a row by how many rows it stands among."""
    sums = np.zeros((len(rows), weights.shape[1]))
    for values, of_input in zip(rows.T, weights, strict=True):
        sums += values[:, None] * of_input
    return sums


def fit(images: np.ndarray, labels: np.ndarray) -> PixelClassifier:
    """To the training part of images (N, 64), by LBFGS from a fixed beginning and on one thread."""
    from sklearn.neural_network import MLPClassifier  # takes seconds to import
    from threadpoolctl import threadpool_limits

    seen = in_training(images)
    network = MLPClassifier(
        HIDDEN, activation="tanh", solver="lbfgs", alpha=1.0, max_iter=300, random_state=0
    )
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # after 300 steps it is not at the minimum, which it need not be
        network.fit(images[seen] / (LEVELS - 1), labels[seen])
    found = PixelClassifier(
        tuple(network.coefs_), tuple(network.intercepts_), np.zeros(HIDDEN[-1]), np.ones(HIDDEN[-1])
    )
    features = found.layers(images[seen])[0]
    scale = features.std(0)
    accuracy = float((found.layers(images[~seen])[1].argmax(1) == labels[~seen]).mean())
    return PixelClassifier(
        found.weights, found.biases, features.mean(0), np.where(scale > 0, scale, 1.0), accuracy
    )


@lru_cache(maxsize=4)
def classifier_of(folder: Path) -> PixelClassifier:
    """Of a data asset of reader digits; once in a process."""
    check_asset(folder, weights=False)
    return fit(*load_digits(folder))


class PixelEmbeddings(Embeddings):
    """Vectors of images, kept in the store as those of sentences."""

    def source(self, settings: Settings, task: Task) -> tuple[str, Path]:
        layers = ", ".join(map(str, HIDDEN))
        return f"a perceptron fitted to {task.data}, layers {layers}", (
            Path("data/assets") / task.data
        ).resolve()

    @property
    def embedder(self) -> PixelClassifier:  # type: ignore[override]
        return classifier_of(self.folder)

    @property
    def address(self) -> dict[str, Any]:
        return {"pixels": self.embedder.digest, "code": CODE_VERSION}

    @property
    def signature(self) -> str:
        return f"its last hidden layer, standardised|{self.embedder.accuracy:.1%} of held-out images right"

    def beside(self, rows: Sequence[dict[str, Any]]) -> list[list[str]]:
        return [row["references"] for row in rows]

    def fields(self, rows: Sequence[dict[str, Any]]) -> Callable[[CellTexts], dict[str, Any]]:
        """Unit vectors, features and classes of the texts; features of all references, (E,) of (K, 16)."""
        real = [self.read(row["references"])[:, :-1] for row in rows]
        first = unit(np.stack([of_example[0] for of_example in real]))

        def of_cell(cell: CellTexts) -> dict[str, Any]:
            vectors = self.read(cell.texts)
            return {
                "text_embeddings": unit(vectors[:, :-1]),
                "reference_embeddings": first[cell.example],
                "features": vectors[:, :-1],
                "real_features": real,
                "predicted": vectors[:, -1].astype(np.int64),
            }

        return of_cell


def unit(vectors: np.ndarray) -> np.ndarray:
    """Of length 1. Standardised features of a real or a possible image are not all 0."""
    lengths = np.sqrt(np.square(vectors.astype(np.float64)).sum(1, keepdims=True))
    made: np.ndarray = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return made
