"""Nearness to references in words: sacrebleu's statistics per sentence, its formulas over any number of resamples.

sacrebleu scores one corpus at a time; a bootstrap scores a thousand per cell, so the last step, from
summed statistics to the score, is written for arrays. Tests hold it to sacrebleu's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.base import Metric as SacrebleuMetric
from sacrebleu.tokenizers.tokenizer_char import TokenizerChar

from random_routing.metrics.helpers.languages import Language
from random_routing.metrics.helpers.portions import cut
from random_routing.metrics.helpers.words import BY_SCRIPT, spaced
from random_routing.metrics.metric import CellTexts, Metric

Reread = Callable[[str], str]  # a text as a metric that splits at spaces is to see it


def statistics(metric: SacrebleuMetric, cell: CellTexts, reread: Reread | None = None) -> np.ndarray:
    """(R, k): sacrebleu's sufficient statistics of every text; texts may differ in references."""
    pairs = zip(cut(cell.texts), cut(cell.references), strict=True)
    return np.concatenate([_statistics(metric, texts, references, reread) for texts, references in pairs])


def _statistics(
    metric: SacrebleuMetric,
    texts: Sequence[str],
    references: Sequence[Sequence[str]],
    reread: Reread | None,
) -> np.ndarray:
    if reread:
        texts = [reread(text) for text in texts]
        references = [[reread(text) for text in group] for group in references]
    most = max(map(len, references))
    streams: Any = [  # sacrebleu skips None, though its annotation says str
        [group[i] if i < len(group) else None for group in references] for i in range(most)
    ]
    return np.array(metric._extract_corpus_statistics(texts, streams), dtype=np.float64)


def bleu_stats(cell: CellTexts, n: int = 4) -> np.ndarray:
    return statistics(bleu_scorer(cell.language, n), cell, spaced if cell.language.by_script else None)


def bleu_scorer(language: Language, n: int = 4) -> BLEU:
    """sacrebleu's BLEU-n; force: no warning on tokenised-looking text. Where the language is unknown it takes texts
    that are `spaced`.
    """
    return BLEU(max_ngram_order=n, force=True, tokenize=language.bleu)


def chrf_stats(cell: CellTexts) -> np.ndarray:
    return statistics(CHRF(), cell)


def ter_stats(cell: CellTexts) -> np.ndarray:
    by_character = cell.language.ter == "characters"
    return statistics(ter_scorer(cell.language), cell, TokenizerChar() if by_character else None)


def ter_scorer(language: Language) -> TER:
    """sacrebleu's TER, which finds words at spaces, and single Chinese characters where it is told to."""
    asian = language.ter == "asian"
    return TER(normalized=asian, asian_support=asian)


def bleu(sums: np.ndarray) -> np.ndarray:
    """(..., 2 + 2n) [hypothesis length, reference length, n matches, n totals] → BLEU-n, 0 to 100.

    Papineni et al. 2002, exponential smoothing: the k-th order without a match counts as 1/2^k. NaN where there
    are words but no n of them in a row, of which sacrebleu says 0.
    """
    length, reference = sums[..., 0], sums[..., 1]
    correct, total = np.split(sums[..., 2:], 2, axis=-1)
    unmatched = (correct == 0) & (total > 0)
    smoothed = 0.5 ** unmatched.cumsum(-1)  # 1/2, 1/4, … from the first order without a match
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(unmatched, smoothed, correct) / total
        brevity = np.where(length < reference, np.exp(1 - reference / length), 1.0)
        score = 100 * brevity * np.exp(np.log(precision).mean(-1))
    undefined = (total == 0).any(-1) & (length > 0)  # words, but no n of them together
    score = np.where((correct.sum(-1) == 0) | (length == 0), 0.0, score)  # nothing in common
    return np.where(undefined, np.nan, score)


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


def signatures(language: Language) -> dict[str, str]:
    """{bleu} and {ter} in the signatures of metrics."""
    bleu, ter = signature(bleu_scorer(language)), signature(ter_scorer(language))
    return {
        "bleu": f"{bleu}|{BY_SCRIPT} apart" if language.by_script else bleu,
        "ter": f"words:characters|{ter}" if language.ter == "characters" else ter,
    }


CHRF_SIGNATURE = signature(CHRF())

METRICS = (
    Metric(
        name="bleu",
        label="BLEU",
        axis="BLEU (0–100)",
        unit="0 to 100",
        role="quality",
        coordinate="quality",
        kinds=("translation",),
        better="higher",
        source="Papineni et al. 2002",
        signature="{bleu}",
        stats=bleu_stats,
        aggregate=bleu,
        undefined="no text has four words",
        against_human=True,
    ),
    Metric(
        name="bleu_2",
        label="BLEU-2",
        axis="BLEU-2 (0–100)",
        unit="0 to 100",
        role="quality",
        coordinate="quality",
        kinds=("dialogue",),
        better="higher",
        source="Papineni et al. 2002",
        signature="n:2|{bleu}",
        stats=partial(bleu_stats, n=2),
        aggregate=bleu,
        undefined="no text has two words",
        against_human=True,
    ),
    Metric(
        name="chrf",
        label="chrF2",
        axis="chrF (0–100)",
        unit="0 to 100",
        role="quality",
        coordinate="quality",
        kinds=("dialogue", "translation"),
        better="higher",
        source="Popović 2015",
        signature=CHRF_SIGNATURE,
        stats=chrf_stats,
        aggregate=chrf,
        against_human=True,
    ),
    Metric(
        name="ter",
        label="TER",
        axis="TER (edits / 100 words)",
        unit="edits per 100 reference words",
        role="quality",
        coordinate="quality",
        kinds=("translation",),
        better="lower",
        source="Snover et al. 2006",
        signature="{ter}",
        stats=ter_stats,
        aggregate=ter,
        against_human=True,
    ),
)
