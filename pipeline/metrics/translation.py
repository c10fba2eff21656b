"""Nearness to references in words: sacrebleu's statistics a sentence, its formulas over any number of resamples.

sacrebleu scores one corpus at a time; a bootstrap scores a thousand a cell, so the last step, from
summed statistics to the score, is written for arrays. Tests hold it to sacrebleu's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.base import Metric as SacrebleuMetric

from pipeline.metrics.base import CellTexts, Metric
from pipeline.metrics.portions import cut


def statistics(metric: SacrebleuMetric, cell: CellTexts) -> np.ndarray:
    """(R, k): sacrebleu's sufficient statistics of every text; texts may differ in references."""
    pairs = zip(cut(cell.texts), cut(cell.references), strict=True)
    return np.concatenate([_statistics(metric, texts, references) for texts, references in pairs])


def _statistics(
    metric: SacrebleuMetric, texts: Sequence[str], references: Sequence[Sequence[str]]
) -> np.ndarray:
    most = max(map(len, references))
    streams: Any = [  # sacrebleu skips None, though its annotation says str
        [own[i] if i < len(own) else None for own in references] for i in range(most)
    ]
    return np.array(metric._extract_corpus_statistics(texts, streams), dtype=np.float64)


def bleu_stats(cell: CellTexts, n: int = 4) -> np.ndarray:
    return statistics(scorer(n), cell)


def scorer(n: int = 4) -> BLEU:
    """sacrebleu's BLEU-n; force: no warning on tokenised-looking text."""
    return BLEU(max_ngram_order=n, force=True)


def chrf_stats(cell: CellTexts) -> np.ndarray:
    return statistics(CHRF(), cell)


def ter_stats(cell: CellTexts) -> np.ndarray:
    return statistics(TER(), cell)


def bleu(sums: np.ndarray) -> np.ndarray:
    """(..., 2 + 2n) [hypothesis length, reference length, n matches, n totals] → BLEU-n, 0 to 100.

    Papineni et al. 2002, exponential smoothing: the k-th order without a match counts as 1/2^k.
    """
    length, reference = sums[..., 0], sums[..., 1]
    correct, total = np.split(sums[..., 2:], 2, axis=-1)
    unmatched = (correct == 0) & (total > 0)
    smoothed = 0.5 ** unmatched.cumsum(-1)  # 1/2, 1/4, … from the first order without a match
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(unmatched, smoothed, correct) / total
        brevity = np.where(length < reference, np.exp(1 - reference / length), 1.0)
        score = 100 * brevity * np.exp(np.log(precision).mean(-1))
    undefined = (correct.sum(-1) == 0) | (total == 0).any(-1)  # nothing in common, or no 4-gram at all
    return np.where(undefined, 0.0, score)


def chrf(sums: np.ndarray) -> np.ndarray:
    """(..., 18) [hypothesis, reference, matching character n-grams] × 6 → chrF2, 0 to 100.

    Popović 2015, F-score with β = 2 of the mean precision and recall over n = 1 … 6.
    """
    shape = (*sums.shape[:-1], -1, 3)
    hypothesis, reference, match = np.moveaxis(sums.reshape(shape), -1, 0)  # (..., 6) each
    used = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(used.sum(-1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(used, match / hypothesis, 0.0).sum(-1) / orders
        recall = np.where(used, match / reference, 0.0).sum(-1) / orders
        score = 100 * 5 * precision * recall / (4 * precision + recall)
    return np.where(precision + recall > 0, score, 0.0)


def ter(sums: np.ndarray) -> np.ndarray:
    """(..., 2) [edits, reference words] → TER, 0 and up, lower is better (Snover et al. 2006)."""
    edits, words = sums[..., 0], sums[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        score = 100 * edits / words
    return np.where(words > 0, score, np.where(edits > 0, 100.0, 0.0))


def signature(metric: SacrebleuMetric) -> str:
    metric.num_refs = -1  # 'var': as many as an example has
    return str(metric.get_signature())


BLEU_SIGNATURE = signature(scorer())
CHRF_SIGNATURE = signature(CHRF())

METRICS = (
    Metric(
        name="bleu",
        label="BLEU",
        unit="0 to 100",
        higher_is_better=True,
        source="Papineni et al. 2002",
        signature=BLEU_SIGNATURE,
        stats=bleu_stats,
        aggregate=bleu,
    ),
    Metric(
        name="bleu_2",
        label="BLEU-2",
        unit="0 to 100",
        higher_is_better=True,
        source="Papineni et al. 2002",
        signature=f"n:2|{signature(scorer(2))}",
        stats=partial(bleu_stats, n=2),
        aggregate=bleu,
    ),
    Metric(
        name="chrf",
        label="chrF2",
        unit="0 to 100",
        higher_is_better=True,
        source="Popović 2015",
        signature=CHRF_SIGNATURE,
        stats=chrf_stats,
        aggregate=chrf,
    ),
    Metric(
        name="ter",
        label="TER",
        unit="edits per 100 reference words",
        higher_is_better=False,
        source="Snover et al. 2006",
        signature=signature(TER()),
        stats=ter_stats,
        aggregate=ter,
    ),
)
