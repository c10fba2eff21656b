"""Images against real ones, in the features of a classifier that was trained on other real images.

`cell.features` (R, D) are those of the images, `cell.real_features` those of each example's real images, which are
held out: no model has seen them.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from random_routing.metrics.against_people import dealt, distance
from random_routing.metrics.metric import CellTexts, Metric, columns, ratio

KINDS = ("images",)
NEIGHBOURS = 5  # Naeem et al. 2020
FREQUENCIES, WIDTH = 64, 4.0  # of the kernel; unrelated images are √(2·16) ≈ 5.7 apart
TINY = 1e-9  # a share of the greatest eigenvalue: below it there is nothing in a direction
FEATURES = "{embedder}|{pooling}"


def accuracy_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): whether the classifier sees the digit that was asked for, and 1."""
    asked = np.array([about["label"] for about in cell.meta])
    return columns(cell.predicted == asked, np.ones(len(asked)))


def frechet_stats(cell: CellTexts) -> np.ndarray:
    """(R, 4): for each image the distance plus its influence, and 1; in the first row of each example the influence of
    its real images, and their number.

    d² = |m − n|² + tr(S + C − 2(SC)^½) of means m, n and covariances S, C (Dowson & Landau 1982). The derivative in
    the direction of an image x is 2(m − n)ᵀ(x − m) + (x − m)ᵀ(I − T)(x − m) − tr((I − T)S), with T the optimal map's
    matrix, T S T = C. Influences add up, and resamples of them are right to first order; d² of a resample itself would
    be too large, as that of few images is.
    """
    images, real = cell.features.astype(np.float64), np.concatenate(cell.real_features).astype(np.float64)
    m, n = images.mean(0), real.mean(0)
    s, c = (np.cov(of.T, bias=True) for of in (images, real))
    d2 = ((m - n) ** 2).sum() + np.trace(s) + np.trace(c) - 2 * np.trace(_root(_root(s) @ c @ _root(s)))
    of_images = _influence(images, m - n, s, c)
    of_real = [_influence(group, n - m, c, s, n) for group in cell.real_features]
    stats = columns(d2 + of_images, np.ones(len(images)), np.zeros(len(images)), np.zeros(len(images)))
    _put_first(cell, stats, 2, [(group.sum(), len(group)) for group in of_real])
    return stats


def _influence(
    rows: np.ndarray, apart: np.ndarray, own: np.ndarray, other: np.ndarray, mean: np.ndarray | None = None
) -> np.ndarray:
    """(N,) of rows (N, D) around the mean of all (that of `rows`, if left out), of covariance `own`."""
    centred = rows.astype(np.float64) - (rows.mean(0) if mean is None else mean)
    half, inverse = _root(own), _root(own, -0.5)
    change = np.eye(len(own)) - inverse @ _root(half @ other @ half) @ inverse
    along: np.ndarray = 2 * centred @ apart + ((centred @ change) * centred).sum(1)
    return along - np.trace(change @ own)


def _root(matrix: np.ndarray, power: float = 0.5) -> np.ndarray:
    """A power of a symmetric matrix without negative eigenvalues, in the directions that it has."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    there = values > TINY * max(values.max(), TINY)
    return (vectors[:, there] * values[there] ** power) @ vectors[:, there].T


def frechet(sums: np.ndarray) -> np.ndarray:
    """d²; the mean of the real images' influence is 0, but not in resamples."""
    return ratio(sums[..., :2]) + ratio(sums[..., 2:])


def kernel_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2k + 2), all in the first row of each example: the mean over its images of k random Fourier features (Rahimi
    & Recht 2007) of a Gaussian kernel minus that over its real images, in the columns of its half of the examples, as
    `human_distance` has them.
    """
    dimensions = cell.features.shape[1]
    frequencies = (
        np.random.Generator(np.random.Philox(0)).standard_normal((dimensions, FREQUENCIES)) / WIDTH
    )

    def waves(rows: np.ndarray) -> np.ndarray:
        phase = rows.astype(np.float64) @ frequencies
        return np.hstack([np.cos(phase), np.sin(phase)]) / np.sqrt(FREQUENCIES)

    first, place = cell.first_rows, np.unique(cell.example, return_inverse=True)[1]
    sums = np.zeros((len(first), 2 * FREQUENCIES))
    np.add.at(sums, place, waves(cell.features))
    real = np.stack([waves(cell.real_features[e]).mean(0) for e in cell.example[first]])
    difference, half = sums / np.bincount(place)[:, None] - real, dealt(cell, 2)[:, None]
    stats = np.zeros((len(cell.texts), 4 * FREQUENCIES + 2))
    stats[first] = np.hstack([difference * (half == 0), difference * (half == 1), half == 0, half == 1])
    return stats


def prdc_stats(cell: CellTexts, which: str) -> np.ndarray:
    """(R, 2) sums of a share over images (precision, density) or, in the first row of each example, over its real
    images (recall, coverage). Kynkäänniemi et al. 2019; Naeem et al. 2020.

    A ball reaches from an image to its fifth neighbour of its own sort. precision: images inside of a real image's
    ball; recall: real images inside of an image's ball; density: balls of real images that an image lies in, over 5;
    coverage: real images whose ball holds an image.
    """
    images, real = cell.features.astype(np.float64), np.concatenate(cell.real_features).astype(np.float64)
    if min(len(images), len(real)) <= NEIGHBOURS:
        return np.full((len(images), 2), np.nan)
    between = distances(real, images)  # (M, R)
    inside = between < radii(real)[:, None]
    if which in ("precision", "density"):
        share = inside.any(0) if which == "precision" else inside.sum(0) / NEIGHBOURS
        return columns(share, np.ones(len(images)))
    found = inside.any(1) if which == "coverage" else (between < radii(images)).any(1)
    stats = np.zeros((len(images), 2))
    ends = np.cumsum([len(group) for group in cell.real_features])
    _put_first(cell, stats, 0, [(group.sum(), len(group)) for group in np.split(found, ends[:-1])])
    return stats


def distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Euclidean, (N, M)."""
    squares = (rows**2).sum(1)[:, None] + (others**2).sum(1) - 2 * rows @ others.T
    return np.sqrt(np.maximum(squares, 0))


def radii(rows: np.ndarray) -> np.ndarray:
    """(N,) the distance of each row to its fifth neighbour; there must be as many."""
    apart = distances(rows, rows)
    np.fill_diagonal(apart, 0)
    nearest: np.ndarray = np.partition(apart, NEIGHBOURS, axis=1)[:, NEIGHBOURS]
    return nearest


def _put_first(cell: CellTexts, stats: np.ndarray, column: int, values: list[tuple[float, int]]) -> None:
    """Two numbers of each example with rows into its first row."""
    for row in cell.first_rows:
        stats[row, column : column + 2] = values[cell.example[row]]


NEAR = f"k:{NEIGHBOURS}|balls:of all images, also in resamples|features:{FEATURES}"
TO_ALL = "to:all real images of the examples"
PRDC: dict[str, tuple[str, str, Literal["quality", "diversity"], str]] = {  # name → label, axis, role, source
    "precision": (
        "images that are like a real one", "precision (inside a real image's ball / all images)", "quality",
        "Kynkäänniemi et al. 2019",
    ),
    "recall": (
        "real images that some image is like", "recall (real images inside an image's ball / all)", "diversity",
        "Kynkäänniemi et al. 2019",
    ),
    "density": (
        "real images around an image, over 5", "density (real balls around an image / 5)", "quality",
        "Naeem et al. 2020",
    ),
    "coverage": (
        "real images with an image near by", "coverage (real images whose ball holds an image / all)", "diversity",
        "Naeem et al. 2020",
    ),
}  # fmt: skip

METRICS = (
    Metric(
        name="class_accuracy",
        label="images that an independent classifier takes for what was asked",
        axis="recognised / all images",
        unit="share, 0 to 1",
        role="quality",
        coordinate="quality",
        kinds=KINDS,
        better="higher",
        source="after Ravuri & Vinyals 2019",
        signature=f"classifier:{FEATURES}",
        stats=accuracy_stats,
        aggregate=ratio,
        short="acc",
    ),
    Metric(
        name="kernel_distance",
        label="distance of all images from the real ones, without bias",
        axis="kernel distance from real images",
        unit="MMD², 0 to 2",
        role="quality",
        coordinate="quality",
        kinds=KINDS,
        better="lower",
        source="Gretton et al. 2012; after Bińkowski et al. 2018",
        signature=f"kernel:Gaussian of width {WIDTH:g}, {FREQUENCIES} random frequencies|halves of the examples "
        f"multiplied|{TO_ALL}|features:{FEATURES}",
        stats=kernel_stats,
        aggregate=distance,
        minimum_examples=2,
        against_human=True,
        people=0.0,
        short="kd",
    ),
    Metric(
        name="frechet_distance",
        label="Fréchet distance from the real images, in the classifier's features",
        axis="Fréchet distance from real images",
        unit="squared, in standard deviations of a feature",
        role="quality",
        kinds=KINDS,
        better="lower",
        source="Dowson & Landau 1982; Heusel et al. 2017",
        signature=f"no FID, which has Inception's features|too large for few images: compare equal numbers|{TO_ALL}|"
        f"resamples:to first order|features:{FEATURES}",
        stats=frechet_stats,
        aggregate=frechet,
        minimum_examples=20,
        over_all=True,
        against_human=True,
        people=0.0,
    ),
    *(
        Metric(
            name=name,
            label=label,
            axis=axis,
            unit="share, 0 to 1" if name != "density" else "balls, 1 for real images",
            role=role,
            coordinate=role,
            kinds=KINDS,
            better="higher",
            source=source,
            signature=f"{NEAR}|{TO_ALL}",
            stats=partial(prdc_stats, which=name),
            aggregate=ratio,
            minimum_examples=NEIGHBOURS + 1,
            over_all=True,
            against_human=True,
        )
        for name, (label, axis, role, source) in PRDC.items()
    ),
)
