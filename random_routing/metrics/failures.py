"""Texts that no mean should hide: loops, junk, and copies of the context."""

from __future__ import annotations

import numpy as np

from random_routing.metrics.helpers.form import TRIPLES
from random_routing.metrics.helpers.words import WORDS, words
from random_routing.metrics.metric import CellTexts, Metric, columns, ratio
from random_routing.metrics.ngrams import ngrams, seq_rep_stats

LOOP = 0.5  # share of a text's 4-grams that are repeats; above, it is a loop
PEOPLE = 0.99  # of the human texts have fewer unseen triples than a junk text


def loop_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): is it a loop, and 1."""
    repeated, total = seq_rep_stats(cell, 4).T
    return columns(repeated > LOOP * total, np.ones(len(cell.texts)))


def junk_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): has it more letter triples that people do not write than nearly all human texts, and 1."""
    of_texts, of_people = cell.forms
    most = np.quantile(of_people.unseen, PEOPLE, method="higher")
    return columns(of_texts.unseen > most, np.ones(len(cell.texts)))


def copied_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2): word triples that stand in the text's context, and word triples."""
    known: dict[str, set[tuple[str, ...]]] = {}
    stats = np.zeros((len(cell.texts), 2))
    for row, (text, source) in enumerate(zip(cell.texts, cell.sources, strict=True)):
        if source not in known:
            known[source] = set(ngrams(words(source), 3))
        of_text = ngrams(words(text), 3)
        stats[row] = sum(triple in known[source] for triple in of_text), len(of_text)
    return stats


METRICS = (
    Metric(
        name="loops",
        label="texts that are loops",
        axis="loops / all texts",
        unit="share, 0 to 1",
        role="failures",
        better="lower",
        source="after Holtzman et al. 2020",
        signature=f"more than {LOOP:g} of a text's 4-grams are repeats|tok:generator|end token:no",
        stats=loop_stats,
        aggregate=ratio,
    ),
    Metric(
        name="junk",
        label="texts of strings that people do not write",
        axis="junk / all texts",
        unit="share, 0 to 1",
        role="failures",
        better="lower",
        source="this project",
        signature=(
            f"more unseen {TRIPLES} than {PEOPLE:.0%} of the human texts|"
            "seen:in references and contexts of other examples"
        ),
        stats=junk_stats,
        aggregate=ratio,
        minimum_examples=2,
    ),
    Metric(
        name="copied",
        label="copied from the context: word triples of a text that stand in it",
        axis="copied / all word triples",
        unit="share, 0 to 1",
        role="failures",
        kinds=("textgen", "dialogue"),
        better="nearer to human",
        source="after See et al. 2017",
        signature=f"n:3|pooled over texts|{WORDS}",
        stats=copied_stats,
        aggregate=ratio,
        undefined="no text has three words",
    ),
)
