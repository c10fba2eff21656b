"""How far the texts of a decoder are from those of people, as distributions.

A mean can be right while no text is: loops are too likely and noise is not likely enough, and half of each has people's
mean. So the texts are compared share by share: how many of them lie below a cut, for many cuts.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from random_routing.metrics.helpers.form import TRIPLES, Form
from random_routing.metrics.metric import CellTexts, Metric
from random_routing.metrics.relevance import COSINE

EXAMPLES = 8  # with fewer, the cuts are those of a handful of texts
EVEN, LIKELY, DIRECTIONS, QUARTILES = 16, 24, 32, (0.25, 0.5, 0.75)
FOLDS, STRENGTH = 5, 0.1


def below_cuts(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """(N, C) 1 where a value (N,) is at most the cut (C,); NaN is above all cuts."""
    return (values[:, None] <= cuts).astype(np.float64)


def likely_cuts(nats: np.ndarray) -> np.ndarray:
    """Even cuts (C,) around the human texts' nats per byte, (E,): one span below, the span that holds 90 % of them,
    and two above, where noise is.
    """
    known = nats[np.isfinite(nats)]
    if not len(known):
        return np.full(LIKELY, np.nan)
    low, high = np.quantile(known, (0.05, 0.95))
    return low + (high - low) * (4 * (np.arange(LIKELY) + 0.5) / LIKELY - 1)


def dealt(cell: CellTexts, parts: int) -> np.ndarray:
    """(E,) the part of each example, dealt in an order of their own, whatever the order of the file is."""
    first = cell.first_rows
    order = cell.order[first] if len(cell.order) else cell.example[first]
    return np.argsort(np.argsort(order, kind="stable")) % parts


def distance_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2k + 2), all in the first row of each example: the mean over its texts of what lies below the cuts minus that
    of its human text, (k,) weighted, in the columns of its half of the examples; and 1 in its half's last column.

    Half of the weight is on the form of a text (its nats per byte, repeated word pairs and unseen letter triples, a
    third each), half on its meaning (random directions of the embeddings).
    """
    first, (texts, people) = cell.first_rows, cell.forms
    directions = np.random.Generator(np.random.Philox(0)).standard_normal(
        (cell.text_embeddings.shape[1], DIRECTIONS)
    )

    def measured(form: Form, nll: np.ndarray, vectors: np.ndarray) -> list[np.ndarray]:
        size = np.array([len(text.encode()) for text in form.texts], dtype=np.float64)
        nats = np.where(size > 0, nll / np.maximum(size, 1), np.nan)
        meaning = vectors.astype(np.float64) @ directions
        return [nats, form.repeated, form.unseen, *meaning.T]

    nll = np.where(cell.judge_tokens > 0, cell.judge_nll, np.nan)
    of_people = measured(people, cell.human_nll[first], cell.reference_embeddings[first])
    of_texts = measured(texts, nll, cell.text_embeddings)
    even = (np.arange(EVEN) + 0.5) / EVEN
    cuts = [likely_cuts(of_people[0]), even, even, *(np.quantile(of, QUARTILES) for of in of_people[3:])]
    shares = [1 / 6] * 3 + [0.5 / DIRECTIONS] * DIRECTIONS  # of the weight
    weights = np.concatenate([np.full(len(c), w / len(c)) for c, w in zip(cuts, shares, strict=True)])
    below, below_of_people = (
        np.hstack([below_cuts(values, c) for values, c in zip(of, cuts, strict=True)])
        for of in (of_texts, of_people)
    )
    place = np.searchsorted(cell.example[first], cell.example)
    sums = np.zeros_like(below_of_people)
    np.add.at(sums, place, below)
    difference = (sums / np.bincount(place)[:, None] - below_of_people) * np.sqrt(weights)
    half = dealt(cell, 2)[:, None]
    stats = np.zeros((len(cell.texts), 2 * len(weights) + 2))
    stats[first] = np.hstack([difference * (half == 0), difference * (half == 1), half == 0, half == 1])
    return stats


def distance(sums: np.ndarray) -> np.ndarray:
    """The weighted mean of squared differences of shares. Each square is the product of two estimates, from the two
    halves of the examples: no chance difference is counted twice, so that it is right on average with few examples too
    (and may be a little below 0).
    """
    size, count = sums.shape[-1] // 2 - 1, sums[..., -2:]
    products = (sums[..., :size] * sums[..., size : 2 * size]).sum(-1)
    known = (count > 0).all(-1)
    return np.where(known, products / np.where(known, count.prod(-1), 1), np.nan)


def told_apart_stats(cell: CellTexts) -> np.ndarray:
    """(R, 4): texts that the classifier takes for a machine's, and texts; in the first row of each example human texts
    that it takes for people's, and human texts. Each by a classifier that has seen no text of its example.
    """
    from sklearn.linear_model import LogisticRegression  # takes seconds to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    first, (texts, people) = cell.first_rows, cell.forms

    def features(form: Form, embeddings: np.ndarray) -> np.ndarray:
        letters = np.array([sum(map(str.isalpha, text)) / max(1, len(text)) for text in form.texts])
        of_form = np.stack([form.repeated, form.unseen, letters], axis=1)
        return np.hstack([of_form, of_form**2, embeddings.astype(np.float64)])

    machine = features(texts, cell.text_embeddings)
    human = features(people, cell.reference_embeddings[first])
    fold_of = dealt(cell, FOLDS)
    of_texts = fold_of[np.searchsorted(cell.example[first], cell.example)]
    stats = np.zeros((len(cell.texts), 4))
    stats[:, 1], stats[first, 3] = 1, 1
    for fold in range(min(FOLDS, len(first))):
        seen = np.vstack([machine[of_texts != fold], human[fold_of != fold]])
        labels = np.repeat([1, 0], [(of_texts != fold).sum(), (fold_of != fold).sum()])
        if len(set(labels)) < 2:
            continue
        classifier = make_pipeline(
            StandardScaler(), LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
        )
        classifier.fit(seen, labels)
        stats[of_texts == fold, 0] = classifier.predict(machine[of_texts == fold])
        stats[first[fold_of == fold], 2] = 1 - classifier.predict(human[fold_of == fold])
    return stats


def told_apart(sums: np.ndarray) -> np.ndarray:
    """Mean of the two shares that the classifier gets right."""
    right, count = sums[..., [0, 2]], sums[..., [1, 3]]
    known = (count > 0).all(-1)
    return np.where(known, (right / np.where(count > 0, count, 1)).mean(-1), np.nan)


FORM = f"repeated word pairs, unseen {TRIPLES}"
METRICS = (
    Metric(
        name="human_distance",
        label="distance of all texts from the human texts",
        axis="squared distance from human texts (0–1)",
        unit="mean squared difference of shares, 0 to 1",
        role="quality",
        coordinate="quality",
        kinds=("textgen",),
        better="lower",
        source="after Székely & Rizzo 2013, sliced as by Bonneel et al. 2015",
        signature=(
            f"half of the weight:nats per byte under the judge, {LIKELY} cuts around the human texts; {FORM}, "
            f"{EVEN} cuts|"
            f"half:{DIRECTIONS} directions of the embeddings, at quartiles of the human texts|"
            f"products of two halves of the examples|judge:{{judge}}|dtype:{{dtype}}|{COSINE}"
        ),
        stats=distance_stats,
        aggregate=distance,
        minimum_examples=EXAMPLES,
        undefined="one example has no distribution",
        against_human=True,
        people=0.0,
        short="distance",
    ),
    Metric(
        name="told_apart",
        label="texts that a classifier tells from human texts",
        axis="told from human texts (share, 0.5 is chance)",
        unit="share, 0.5 to 1",
        role="quality",
        coordinate="quality",
        better="lower",
        source="Lopez-Paz & Oquab 2017",
        signature=(
            f"logistic regression, C:{STRENGTH:g}|{FORM}, letters, their squares, embeddings|"
            f"cross-fitted over {FOLDS} parts of the examples|mean of both kinds' shares|{COSINE}|"
            f"scikit-learn:{version('scikit-learn')}"
        ),
        stats=told_apart_stats,
        aggregate=told_apart,
        minimum_examples=EXAMPLES,
        against_human=True,
        people=0.5,
        short="told",
    ),
)
