"""Choices among labels: how often they are right, how good their probabilities are, and how much they differ.

Accuracy, F1 and the vote are of the labels that a decoder drew; likelihood, Brier score and calibration of its law's
own probabilities of every label (`law.choices`), which need no draws.
"""

from __future__ import annotations

import numpy as np

from random_routing.metrics.metric import CellTexts, Metric, columns, ratio

KIND = ("sentiment",)
BINS = 10  # of calibration
OF_LAW = "labels:{choices}|probabilities of {model} under the law in closed form"
NO_LAW = (
    "no probabilities of labels are known: people and rules give none, and some routes have no closed form"
)


def truth(cell: CellTexts) -> list[str]:
    """(R,) the label that people gave."""
    return [references[0].strip() for references in cell.references]


def right(cell: CellTexts) -> np.ndarray:
    """(R,) is it people's label?"""
    return np.array([text.strip() == label for text, label in zip(cell.texts, truth(cell), strict=True)])


def accuracy_stats(cell: CellTexts) -> np.ndarray:
    return columns(right(cell), np.ones(len(cell.texts)))


def f1_stats(cell: CellTexts) -> np.ndarray:
    """(R, 3L): for each label that people or the decoder gave, is it right here, is it the text's, is it people's."""
    texts, labels = np.array([text.strip() for text in cell.texts]), np.array(truth(cell))
    parts = []
    for label in sorted({*texts.tolist(), *labels.tolist()}):
        given, true = texts == label, labels == label
        parts.append(columns(given & true, given, true))
    return np.concatenate(parts, axis=1)


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """(..., 3L) → the mean over labels of F1 = 2·right / (given + true); labels that neither has are left out."""
    both, given, true = (sums[..., part::3] for part in range(3))
    total = given + true
    there = total > 0
    f1 = np.where(there, 2 * both / np.where(there, total, 1), 0.0).sum(-1)
    count = there.sum(-1)
    return np.where(count > 0, f1 / np.maximum(count, 1), np.nan)


def vote_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2) in the first row of each example: the chance that the commonest label of its texts, one of several at
    random, is right; and 1.
    """
    stats, labels = np.zeros((len(cell.texts), 2)), truth(cell)
    for first, votes in zip(cell.first_rows, _votes(cell), strict=True):
        tied = [label for label, count in votes.items() if count == max(votes.values())]
        stats[first] = (labels[first] in tied) / len(tied), 1
    return stats


def disagreement_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2) in the first row of each example: ordered pairs of its texts with different labels, and pairs."""
    stats = np.zeros((len(cell.texts), 2))
    for first, votes in zip(cell.first_rows, _votes(cell), strict=True):
        texts = sum(votes.values())
        stats[first] = texts**2 - sum(count**2 for count in votes.values()), texts * (texts - 1)
    return stats


def _votes(cell: CellTexts) -> list[dict[str, int]]:
    """Label → texts, of each example in the order of `first_rows`."""
    votes: dict[int, dict[str, int]] = {}
    for example, text in zip(cell.example.tolist(), cell.texts, strict=True):
        of_example = votes.setdefault(example, {})
        of_example[text.strip()] = of_example.get(text.strip(), 0) + 1
    return [votes[example] for example in sorted(votes)]


def nll(probs: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(R, 3): −log P of the true label in nats, or 0 where that is 0; 1 where it is; 1. probs: (R, K); true: (R,)."""
    p = probs[np.arange(len(true)), true]
    never = p <= 0
    return columns(0.0 - np.log(np.where(never, 1.0, p)), never, np.ones(len(true)))


def mean_nll(sums: np.ndarray) -> np.ndarray:
    """(..., 3) → the mean; NaN where a true label has no probability, whose mean would be infinite."""
    return np.where(sums[..., 1] > 0, np.nan, ratio(sums[..., [0, 2]]))


def brier(probs: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(R, 2): Σ over labels of (P − [is it true])², 0 to 2 (Brier 1950), and 1."""
    is_true = np.eye(probs.shape[1])[true]
    return columns(((probs - is_true) ** 2).sum(1), np.ones(len(true)))


def calibration(probs: np.ndarray, true: np.ndarray, example: np.ndarray) -> np.ndarray:
    """(R, 3·BINS): confidence, accuracy and count in each bin. example: (R,) whose rows have one law.

    Confidence is the greatest P of a label, accuracy the chance that it is true (of several as likely one at random).
    Bins have equally many examples (Nguyen & O'Connor 2015); those of one confidence share a bin.
    """
    confidence = probs.max(1)
    likeliest = np.isclose(probs, confidence[:, None], rtol=1e-9, atol=0)
    accuracy = likeliest[np.arange(len(true)), true] / likeliest.sum(1)
    first = np.unique(example, return_index=True)[1]
    edges = np.quantile(confidence[first], np.arange(1, BINS) / BINS, method="higher")
    inside = np.eye(BINS)[np.searchsorted(edges, confidence, side="right")]  # (R, BINS)
    return np.concatenate([inside * confidence[:, None], inside * accuracy[:, None], inside], axis=1)


def calibration_error(sums: np.ndarray) -> np.ndarray:
    """(..., 3·BINS) → Σ over bins of (count / all)·|accuracy − confidence| (Guo et al. 2017, equation 3)."""
    confidence, accuracy, count = np.split(sums, 3, axis=-1)
    total = count.sum(-1)
    defined = total > 0
    return np.where(defined, np.abs(accuracy - confidence).sum(-1) / np.where(defined, total, 1), np.nan)


def entropy(probs: np.ndarray) -> np.ndarray:
    """(R, 2): −Σ P·log P in nats, and 1."""
    logs = np.log(np.where(probs > 0, probs, 1.0))
    return columns(-(probs * logs).sum(1), np.ones(len(probs)))


def true_choice(cell: CellTexts) -> np.ndarray:
    """(R,) the number of people's label among `choices`."""
    number = {label.strip(): i for i, label in enumerate(cell.choices)}
    return np.array([number[label] for label in truth(cell)])


def _known(cell: CellTexts) -> bool:
    return len(cell.choice_probs) == len(cell.texts)


def _unknown(cell: CellTexts, width: int) -> np.ndarray:
    return np.full((len(cell.texts), width), np.nan)


def nll_stats(cell: CellTexts) -> np.ndarray:
    return nll(cell.choice_probs, true_choice(cell)) if _known(cell) else _unknown(cell, 3)


def brier_stats(cell: CellTexts) -> np.ndarray:
    return brier(cell.choice_probs, true_choice(cell)) if _known(cell) else _unknown(cell, 2)


def calibration_stats(cell: CellTexts) -> np.ndarray:
    if not _known(cell):
        return _unknown(cell, 3 * BINS)
    return calibration(cell.choice_probs, true_choice(cell), cell.example)


def entropy_stats(cell: CellTexts) -> np.ndarray:
    return entropy(cell.choice_probs) if _known(cell) else _unknown(cell, 2)


METRICS = (
    Metric(
        name="accuracy",
        label="accuracy of a label",
        axis="accuracy (share right)",
        unit="share, 0 to 1",
        role="quality",
        coordinate="quality",
        kinds=KIND,
        better="higher",
        source="a count; equals scikit-learn's accuracy_score",
        signature="each text's label against people's",
        stats=accuracy_stats,
        aggregate=ratio,
        against_human=True,
    ),
    Metric(
        name="macro_f1",
        label="macro-F1 of the labels",
        axis="macro-F1 (0–1)",
        unit="0 to 1",
        role="quality",
        coordinate="quality",
        kinds=KIND,
        better="higher",
        source="equals scikit-learn's f1_score, average macro",
        signature="pooled over texts|mean over the labels that people or the decoder gave",
        stats=f1_stats,
        aggregate=macro_f1,
        minimum_examples=2,
        against_human=True,
    ),
    Metric(
        name="vote_accuracy",
        label="accuracy of the vote of an example's texts",
        axis="accuracy of the vote",
        unit="share, 0 to 1",
        role="quality",
        coordinate="quality",
        kinds=KIND,
        better="higher",
        source="after Wang et al. 2023 (self-consistency)",
        signature="the commonest label of all texts of an example|ties:one at random, on average",
        stats=vote_stats,
        aggregate=ratio,
        minimum_samples=2,
        against_human=True,
    ),
    Metric(
        name="label_nll",
        label="negative log-likelihood of people's label",
        axis="NLL of people's label (nats)",
        unit="nats",
        role="quality",
        coordinate="quality",
        kinds=KIND,
        better="lower",
        source="equals scikit-learn's log_loss",
        signature=OF_LAW,
        stats=nll_stats,
        aggregate=mean_nll,
        undefined=f"a label of people has no probability, or {NO_LAW}",
        against_human=True,
    ),
    Metric(
        name="brier",
        label="Brier score",
        axis="Brier score (0–2)",
        unit="0 to 2",
        role="quality",
        coordinate="quality",
        kinds=KIND,
        better="lower",
        source="Brier 1950; equals scikit-learn's brier_score_loss, not halved",
        signature=f"sum over labels|{OF_LAW}",
        stats=brier_stats,
        aggregate=ratio,
        undefined=NO_LAW,
        against_human=True,
    ),
    Metric(
        name="calibration_error",
        label="expected calibration error of the likeliest label",
        axis="calibration error (0–1)",
        unit="0 to 1",
        role="quality",
        kinds=KIND,
        better="lower",
        source="Guo et al. 2017, with bins of equal mass (Nixon et al. 2019)",
        signature=f"bins:{BINS} of equal mass, kept over resamples|L1|{OF_LAW}",
        stats=calibration_stats,
        aggregate=calibration_error,
        minimum_examples=2 * BINS,
        undefined=NO_LAW,
        against_human=True,
    ),
    Metric(
        name="disagreement",
        label="disagreement: chance that two texts of an example have different labels",
        axis="disagreement of an example's labels",
        unit="share, 0 to 1",
        role="diversity",
        coordinate="diversity",
        kinds=KIND,
        better="",
        source="Gini 1912; Simpson 1949, unbiased",
        signature="ordered pairs of an example's texts, pooled",
        stats=disagreement_stats,
        aggregate=ratio,
        minimum_samples=2,
    ),
    Metric(
        name="label_entropy",
        label="entropy of the law over labels",
        axis="entropy over labels (nats)",
        unit="nats",
        role="diversity",
        kinds=KIND,
        better="",
        source="Shannon 1948",
        signature=OF_LAW,
        stats=entropy_stats,
        aggregate=ratio,
        undefined=NO_LAW,
    ),
)
