"""Handwritten digits as texts: 64 grey levels from 0 (paper) to 16 (ink), row by row from the top.

Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository (CC BY 4.0), of
which scikit-learn ships the 1,797 images of the test set.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from random_routing.errors import PipelineError, short
from random_routing.settings import Asset, Task
from random_routing.tasks.example_ids import content_id

SIDE, LEVELS, CLASSES = 8, 17, 10
PIXELS = SIDE * SIDE
TRAINING = 2 / 3  # of the images, by their content: the others are held out


def load_digits(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 64) and what they show (N,), int64, of the one .csv.gz below the folder. Raises `PipelineError`."""
    files = sorted(folder.rglob("*.csv.gz"))
    if len(files) != 1:
        raise PipelineError(f"{folder}: holds {len(files)} files .csv.gz; reader digits needs one")
    try:
        with gzip.open(files[0], "rt", encoding="ascii") as lines:
            rows = np.loadtxt(lines, delimiter=",", ndmin=2)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise PipelineError(f"{files[0]}: cannot be read as numbers ({short(error)})") from None
    pixels, labels = rows[:, :-1], rows[:, -1]
    if pixels.shape[1:] != (PIXELS,) or not (_whole(pixels, LEVELS) and _whole(labels, CLASSES)):
        raise PipelineError(
            f"{files[0]}: must have {PIXELS} grey levels, 0 to {LEVELS - 1}, and a digit in each line"
        )
    return pixels.astype(np.int64), labels.astype(np.int64)


def _whole(values: np.ndarray, bound: int) -> bool:
    return bool(((values >= 0) & (values < bound) & (values == np.floor(values))).all())


def spell(image: np.ndarray) -> str:
    """The text of an image: its levels, with a space between."""
    return " ".join(map(str, image.tolist()))


def read_image(text: str) -> np.ndarray:
    """(64,) int64 of a text. Raises `ValueError` where it is no image."""
    image = np.array([int(word) for word in text.split()], dtype=np.int64)
    if image.shape != (PIXELS,) or not _whole(image, LEVELS):
        raise ValueError(f"{len(image)} grey levels, where an image has {PIXELS} from 0 to {LEVELS - 1}")
    return image


def in_training(images: np.ndarray) -> np.ndarray:
    """(N,) bool: which images (N, 64) models may be trained on. An image's own content decides, so that equal images
    are on one side, and others do not change it.
    """
    places = [int(content_id(["split", image.tolist()]), 16) / 16**12 for image in images]
    return np.array(places) < TRAINING


def read_digits(folder: Path, asset: Asset, task: Task) -> Iterator[dict[str, Any]]:
    """The held-out images as records: their text and the digit."""
    images, labels = load_digits(folder)
    for i in np.flatnonzero(~in_training(images)):
        yield {"text": spell(images[i]), "label": int(labels[i])}
