"""MAUVE: how near the distribution of a cell's texts is to that of the human texts.

The steps are those of mauve-text (tests hold them to it); it gives histograms alone, and an interval needs
to know which text lies in which cluster.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from pipeline.metrics.base import CellTexts, Metric
from pipeline.metrics.jackknife import pseudo_values
from pipeline.metrics.relevance import COSINE

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
    numbers, first, own = np.unique(cell.example, return_index=True, return_inverse=True)
    human, count = cell.reference_embeddings[first], len(numbers)
    clusters = min(max(2, round(count / 10)), MOST_CLUSTERS)
    labels = [clustered(cell.text_embeddings, human, clusters, seed) for seed in range(SEEDS)]
    whole, without = [], []
    for texts, people in labels:
        p, q = np.zeros((2, count, clusters))  # how often each example is in each cluster
        np.add.at(p, (own, texts), 1)
        q[np.arange(count), people] = 1
        whole.append(mauve(p.sum(0)[None], q.sum(0)[None])[0])
        without.append(mauve(p.sum(0) - p, q.sum(0) - q))
    return pseudo_values(np.array(whole), np.stack(without, axis=1), cell.example)


def clustered(
    texts: np.ndarray, human: np.ndarray, clusters: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster of each text, (R,), and of each human text, (E,), by k-means over both together.

    texts, human: (R, D) and (E, D). Rows are sorted first, because k-means starts from the first ones it sees.
    """
    import faiss  # these take seconds to import, and a small study never needs them
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import normalize

    both = np.vstack([human[_sorted(human)], texts[_sorted(texts)]])
    if (both == both[0]).all():  # nothing to tell apart
        return np.zeros(len(texts), dtype=int), np.zeros(len(human), dtype=int)
    unit = normalize(both, norm="l2", axis=1)
    pca = PCA(n_components=None, whiten=False, random_state=seed + 1).fit(unit)
    dimensions = int(np.argmax(np.cumsum(pca.explained_variance_ratio_) >= KEPT)) + 1
    points = np.ascontiguousarray(pca.transform(unit)[:, :dimensions], dtype=np.float32)
    means = faiss.Kmeans(
        dimensions, clusters, niter=ITERATIONS, nredo=RESTARTS, update_index=True, seed=seed + 2,
        min_points_per_centroid=1,
    )  # fmt: skip
    means.train(points)
    found = means.index.search(points, 1)[1][:, 0]
    of_human, of_texts = np.empty(len(human), dtype=int), np.empty(len(texts), dtype=int)
    of_human[_sorted(human)] = found[: len(human)]
    of_texts[_sorted(texts)] = found[len(human) :]
    return of_texts, of_human


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
    x, y = (np.exp(-SCALING * _divergence(one[:, None], mixed)) for one in (q, p))
    one, nothing = np.ones((len(p), 1)), np.zeros((len(p), 1))
    x, y = np.hstack([one, x, nothing]), np.hstack([nothing, y, one])
    return (_area(x, y) + _area(y, x)) / 2


def _divergence(p: np.ndarray, m: np.ndarray) -> np.ndarray:
    """KL(p‖m) over the last axis, nats; m is above 0 where p is."""
    there = p > 0
    return np.where(there, p * np.log(np.where(there, p, 1) / np.where(there, m, 1)), 0).sum(-1)


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
        unit="0 to 1",
        higher_is_better=True,
        source="Pillutla et al. 2021",
        signature=(
            f"features:{COSINE}|clusters:texts/10, at most {MOST_CLUSTERS}|seeds:{SEEDS}|scaling:{SCALING:g}"
            f"|faiss:{version('faiss-cpu')}|scikit-learn:{version('scikit-learn')}"
        ),
        stats=mauve_stats,
        aggregate=by_seed,
        minimum_examples=EXAMPLES,
    ),
)
