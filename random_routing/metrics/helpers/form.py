"""What the form of a text shows without a model: repeats, and strings of letters that people do not write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from random_routing.metrics.helpers.words import words
from random_routing.metrics.metric import CellTexts

TRIPLES = "letter triples:case folded, white space as one space"


def first_rows(cell: CellTexts) -> np.ndarray:
    """(E,) the first row of each example that has one."""
    return np.unique(cell.example, return_index=True)[1]


def people_of(cell: CellTexts) -> list[str]:
    """The first reference of each example, in the order of `first_rows`."""
    return [cell.references[row][0] for row in first_rows(cell)]


def repeated_pairs(texts: Iterable[str]) -> np.ndarray:
    """(N,) share of a text's word pairs that stand in it before, 0 to 1; 0 of a text without pairs."""
    shares = []
    for text in texts:
        of_text = words(text)
        pairs = list(pairwise(of_text))
        shares.append(1 - len(set(pairs)) / len(pairs) if pairs else 0.0)
    return np.array(shares)


def triples(text: str) -> list[str]:
    """Each three characters in a row."""
    folded = " ".join(text.casefold().split())
    return [folded[i : i + 3] for i in range(len(folded) - 2)]


class Unseen:
    """Which letter triples people write: those of the references and the sources of a cell's *other* examples, so that
    a human text is measured like a machine's.
    """

    def __init__(self, cell: CellTexts) -> None:
        self.own = {
            int(cell.example[row]): {
                triple
                for text in [*cell.references[row], *(cell.sources[row : row + 1])]
                for triple in triples(text)
            }
            for row in first_rows(cell)
        }
        self.examples_with = Counter(triple for own in self.own.values() for triple in own)

    def shares(self, texts: Sequence[str], examples: Iterable[int]) -> np.ndarray:
        """(N,) share of a text's triples that no other example has, 0 to 1; 0 of a text without triples."""
        shares = []
        for text, example in zip(texts, examples, strict=True):
            own, of_text = self.own[int(example)], triples(text)
            unseen = sum(self.examples_with[triple] <= (triple in own) for triple in of_text)
            shares.append(unseen / len(of_text) if of_text else 0.0)
        return np.array(shares)
