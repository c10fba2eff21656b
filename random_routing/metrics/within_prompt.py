"""Several texts of one prompt: how much they differ, and how good the best of them is."""

from __future__ import annotations

from functools import partial

import numpy as np
from sacrebleu.metrics import BLEU

from random_routing.metrics import relevance, translation
from random_routing.metrics.helpers.words import WORDS, spaced, words
from random_routing.metrics.metric import CellTexts, Metric, columns, ratio
from random_routing.metrics.ngrams import ngrams
from random_routing.settings.tasks import TEXT_KINDS

BEST = "best of an example's texts by the sentence's score|"


def sample_distinct_stats(cell: CellTexts, n: int = 2) -> np.ndarray:
    """distinct-n among the texts of one example: (R, 2), unique n-grams in its first row, and all n-grams."""
    rows = [ngrams(words(text), n) for text in cell.texts]
    stats = columns(np.zeros(len(rows)), [len(row) for row in rows])
    for group in groups(cell.example):
        stats[group[0], 0] = len({gram for row in group for gram in rows[row]})
    return stats


def pairwise_bleu_stats(cell: CellTexts) -> np.ndarray:
    """Pairwise BLEU (Shen et al. 2019): each text of an example against each other one.

    (R, 10): BLEU's statistics of all ordered pairs, summed in the example's first row.
    """
    stats = np.zeros((len(cell.texts), 10))
    metric = translation.bleu_scorer(cell.language)
    readable = [spaced(text) for text in cell.texts] if cell.language.by_script else cell.texts
    for group in groups(cell.example):
        pairs = [(a, b) for a in group for b in group if a != b]
        if pairs:
            texts, others = ([readable[row] for row in side] for side in zip(*pairs, strict=True))
            stats[group[0]] = np.sum(metric._extract_corpus_statistics(texts, [others]), axis=0)
    return stats


def pairwise_bleu(sums: np.ndarray) -> np.ndarray:
    """BLEU; NaN where no text has a 4-gram, which is not the diversity that 0 would say."""
    return np.where(sums[..., -1] > 0, translation.bleu(sums), np.nan)


def sample_spread_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2), in the first row of each example: 1 − cosine of its ordered pairs of texts, summed; and the pairs."""
    stats = np.zeros((len(cell.texts), 2))
    for group in groups(cell.example):
        total, pairs = cell.text_embeddings[group].astype(np.float64).sum(0), len(group) * (len(group) - 1)
        # Σ over all pairs of cosines is |Σ e|², of which each text with itself is 1.
        stats[group[0]] = pairs - (total @ total - len(group)), pairs
    return stats


def oracle_bleu_stats(cell: CellTexts) -> np.ndarray:
    """BLEU's statistics of each example's text with the best sentence BLEU; 0 for the others."""
    stats = translation.bleu_stats(cell)
    scores = [
        BLEU.compute_bleu(
            row[2:6].tolist(), row[6:].tolist(), int(row[0]), int(row[1]), "exp", effective_order=True
        ).score
        for row in stats
    ]
    return stats * best(np.array(scores), cell.example)[:, None]


def oracle_chrf_stats(cell: CellTexts) -> np.ndarray:
    """chrF's statistics of each example's text with the best chrF; 0 for the others."""
    stats = translation.chrf_stats(cell)
    return stats * best(translation.chrf(stats), cell.example)[:, None]


def oracle_similarity_stats(cell: CellTexts) -> np.ndarray:
    """Cosine with the reference of each example's nearest text that is not empty, and 1."""
    stats = relevance.reference_stats(cell)
    return stats * best(np.where(stats[:, 1] > 0, stats[:, 0], -np.inf), cell.example)[:, None]


def best(scores: np.ndarray, example: np.ndarray) -> np.ndarray:
    """(R,) 1 at the row of each example with its greatest score, the first of equals, and 0 elsewhere."""
    chosen = np.zeros(len(scores))
    for group in groups(example):
        chosen[group[int(np.argmax(scores[group]))]] = 1
    return chosen


def groups(example: np.ndarray) -> list[list[int]]:
    """The rows of each example."""
    rows: dict[int, list[int]] = {}
    for row, number in enumerate(example.tolist()):
        rows.setdefault(number, []).append(row)
    return list(rows.values())


METRICS = (
    Metric(
        name="sample_distinct_2",
        label="distinct-2 among the texts of a prompt",
        axis="distinct-2 among a prompt's texts (distinct / all word pairs)",
        unit="share, 0 to 1",
        role="diversity",
        coordinate="diversity",
        better="nearer to human",
        source="Li et al. 2016",
        signature=f"n:2|scope:example, pooled over examples|{WORDS}",
        stats=partial(sample_distinct_stats, n=2),
        aggregate=ratio,
        minimum_samples=2,
        undefined="no text has two words",
    ),
    Metric(
        name="pairwise_bleu",
        label="pairwise BLEU of the texts of a prompt",
        axis="pairwise BLEU of a prompt's texts",
        unit="0 to 100",
        role="sameness",
        coordinate="diversity",
        better="lower",
        source="Shen et al. 2019",
        signature="ordered pairs pooled|{bleu}",
        stats=pairwise_bleu_stats,
        aggregate=pairwise_bleu,
        minimum_samples=2,
        undefined="no text has four words",
    ),
    Metric(
        name="sample_spread",
        label="spread of meaning among the texts of a prompt",
        axis="spread of a prompt's texts (1 − cosine)",
        unit="1 − cosine, 0 to 2",
        role="diversity",
        coordinate="diversity",
        kinds=(*TEXT_KINDS, "images"),
        better="",
        source="after Tevet & Berant 2021",
        signature=f"ordered pairs pooled|empty texts:as equal ones|{relevance.COSINE}",
        stats=sample_spread_stats,
        aggregate=ratio,
        minimum_samples=2,
    ),
    Metric(
        name="oracle_bleu",
        label="BLEU of the best text of a prompt",
        axis="best text's BLEU (0–100)",
        unit="0 to 100",
        role="quality",
        kinds=("translation",),
        better="higher",
        source="Shen et al. 2019",
        signature=BEST + "{bleu}",
        stats=oracle_bleu_stats,
        aggregate=translation.bleu,
        minimum_samples=2,
        undefined="no text has four words",
        against_human=True,
    ),
    Metric(
        name="oracle_chrf",
        label="chrF2 of the best text of a prompt",
        axis="best text's chrF (0–100)",
        unit="0 to 100",
        role="quality",
        kinds=("dialogue", "translation"),
        better="higher",
        source="after Shen et al. 2019",
        signature=BEST + translation.CHRF_SIGNATURE,
        stats=oracle_chrf_stats,
        aggregate=translation.chrf,
        minimum_samples=2,
        against_human=True,
    ),
    Metric(
        name="oracle_similarity",
        label="similarity to the human text, best text of a prompt",
        axis="best text's similarity to reference (cosine)",
        unit=relevance.COSINE_UNIT,
        role="quality",
        better="higher",
        source="after Shen et al. 2019",
        signature=BEST + relevance.COSINE + relevance.FIRST + relevance.LEFT_OUT,
        stats=oracle_similarity_stats,
        aggregate=ratio,
        minimum_samples=2,
        undefined=relevance.EMPTY,
        against_human=True,
    ),
)
