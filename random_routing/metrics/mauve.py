"""MAUVE: how near the distribution of a cell's texts is to that of the human texts.

The steps are those of mauve-text (tests hold them to it); it gives histograms alone, and an interval needs
to know which text lies in which cluster.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from random_routing.metrics.helpers.jackknife import pseudo_values
from random_routing.metrics.metric import CellTexts, Metric
from random_routing.metrics.relevance import COSINE

EXAMPLES = 200  # below, the clusters' noise alone is as large as what is measured
SEEDS = 5  # of k-means: their spread is a part of the interval
MOST_CLUSTERS = 500  # as many as the paper has; more would make the cost grow with the square of the texts
KEPT, ITERATIONS, RESTARTS = 0.9, 500, 5  # of the variance by PCA; of k-means
MIXTURES = np.linspace(1e-6, 1 - 1e-6, 25)
SCALING = 5.0
BLOCK = 64  # histograms at once: a few tens of MiB


def mauve_stats(cell: CellTexts) -> np.ndarray:
    """MAUVE (Pillutla et al. 2021) of the texts and the first references, over sentence embeddings.

    Returns (R, 6): for each of 5 seeds of k-means the jackknife pseudo-value with the clusters as they are, and 1.
    Near 1 an example's influence is mostly noise, and intervals come out up to twice too wide.
    """
    numbers, first, index = np.unique(cell.example, return_index=True, return_inverse=True)
    human, count = cell.reference_embeddings[first], len(numbers)
    clusters = min(max(2, round(count / 10)), MOST_CLUSTERS)
    points, place = prepared(human, cell.text_embeddings)
    labels = [clustered(points, clusters, seed)[place] for seed in range(SEEDS)]
    whole, without = [], []
    for label in labels:
        people, texts = label[:count], label[count:]
        p, q = np.zeros((2, count, clusters))  # how often each example is in each cluster
        np.add.at(p, (index, texts), 1)
        q[np.arange(count), people] = 1
        whole.append(mauve(p.sum(0)[None], q.sum(0)[None])[0])
        without.append(mauve(p.sum(0) - p, q.sum(0) - q))
    return pseudo_values(np.array(whole), np.stack(without, axis=1), cell.example)


def prepared(human: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What k-means runs on, which no seed changes: (E + R, d) float32, and in which of its rows each text is.

    human, texts: (E, D) and (R, D). Unit vectors in the directions that hold 90 % of their variance; the human
    ones come first and each group is sorted, because k-means starts from the first rows that it sees.
    """
    from sklearn.decomposition import PCA  # takes seconds to import, and a small study never needs it
    from sklearn.preprocessing import normalize

    order = np.concatenate([_sorted(human), len(human) + _sorted(texts)])
    both = np.vstack([human, texts])[order]
    if (both == both[0]).all():  # nothing to tell apart
        return np.zeros((len(both), 1), dtype=np.float32), np.argsort(order)
    unit = normalize(both, norm="l2", axis=1)
    pca = PCA(n_components=None, whiten=False).fit(unit)
    dimensions = int(np.argmax(np.cumsum(pca.explained_variance_ratio_) >= KEPT)) + 1
    points = np.ascontiguousarray(pca.transform(unit)[:, :dimensions], dtype=np.float32)
    return points, np.argsort(order)


def clustered(points: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """Cluster of each point, (N,), by k-means."""
    import faiss  # takes seconds to import, and a small study never needs it

    if (points == points[0]).all():
        return np.zeros(len(points), dtype=int)
    means = faiss.Kmeans(
        points.shape[1], clusters, niter=ITERATIONS, nredo=RESTARTS, update_index=True, seed=seed + 2,
        min_points_per_centroid=1,
    )  # fmt: skip
    means.train(points)
    return np.asarray(means.index.search(points, 1)[1][:, 0])


def _sorted(rows: np.ndarray) -> np.ndarray:
    return np.lexsort(rows.T[::-1])


def mauve(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Area under the divergence curve of each pair of histograms, (N, K) counts each: (N,), 0 to 1.

    Points (exp(−5·KL(q‖m)), exp(−5·KL(p‖m))) of mixtures m = w·p + (1−w)·q, w from 0 to 1, with (1, 0) and
    (0, 1) at the ends; the mean of the areas seen from both axes (Pillutla et al. 2021).
    """
    return np.concatenate(
        [_areas(p[at : at + BLOCK], q[at : at + BLOCK]) for at in range(0, len(p), BLOCK)]
    )


def _areas(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = (counts / counts.sum(1, keepdims=True) for counts in (p, q))
    mixed = MIXTURES[:, None] * p[:, None] + (1 - MIXTURES[:, None]) * q[:, None]  # (N, mixtures, K)
    x, y = (np.exp(-SCALING * _divergence(counts[:, None], mixed)) for counts in (q, p))
    ones, zeros = np.ones((len(p), 1)), np.zeros((len(p), 1))
    x, y = np.hstack([ones, x, zeros]), np.hstack([zeros, y, ones])
    return (_area(x, y) + _area(y, x)) / 2


def _divergence(p: np.ndarray, m: np.ndarray) -> np.ndarray:
    """KL(p‖m) over the last axis, nats; m is above 0 where p is."""
    present = p > 0
    return np.where(present, p * np.log(np.where(present, p, 1) / np.where(present, m, 1)), 0).sum(-1)


def _area(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    order = np.lexsort((-y, x), axis=-1)  # the curve falls
    return np.trapezoid(np.take_along_axis(y, order, 1), np.take_along_axis(x, order, 1), axis=1)


def by_seed(sums: np.ndarray) -> np.ndarray:
    """(..., 6) → (..., 5): the value under each seed, 0 to 1."""
    count = sums[..., -1:]
    return np.where(count > 0, np.clip(sums[..., :-1] / np.where(count > 0, count, 1), 0, 1), np.nan)


METRICS = (
    Metric(
        name="mauve",
        label="MAUVE: nearness of all texts to the human texts",
        axis="MAUVE (0–1)",
        unit="0 to 1",
        role="quality",
        coordinate="quality",
        better="higher",
        source="Pillutla et al. 2021",
        signature=(
            f"features:{COSINE}|empty texts:as equal ones|people:first references|pca:{KEPT:g} of variance"
            f"|clusters:examples/10, at most {MOST_CLUSTERS}|k-means:{ITERATIONS} steps, best of {RESTARTS}"
            f"|seeds:{SEEDS}|points:{len(MIXTURES)}|scaling:{SCALING:g}"
            f"|faiss:{version('faiss-cpu')}|scikit-learn:{version('scikit-learn')}"
        ),
        stats=mauve_stats,
        aggregate=by_seed,
        minimum_examples=EXAMPLES,
        against_human=True,
    ),
)
