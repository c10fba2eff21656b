"""What the form of a text shows without a model: repeats, and strings of letters that people do not write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from random_routing.metrics.helpers.words import words

TRIPLES = "letter triples:case folded, white space as one space"


@dataclass(frozen=True)
class Form:
    """N texts. repeated: (N,) share of the word pairs that stand in the text before; unseen: (N,) share of the letter
    triples that no other example's people write. Both 0 to 1, and 0 of a text without any.
    """

    texts: Sequence[str]
    repeated: np.ndarray
    unseen: np.ndarray


def forms(
    texts: Sequence[str], example: np.ndarray, references: Sequence[Sequence[str]], sources: Sequence[str]
) -> tuple[Form, Form]:
    """Of a cell's texts (R,), and of the first human text of each example, in the order of their numbers.

    People write what stands in the references and sources of the *other* examples, so that a human text is measured
    like a machine's. sources: (R,), or none.
    """
    numbers, first = np.unique(example, return_index=True)
    own = {
        int(example[row]): {
            triple for text in [*references[row], *sources[row : row + 1]] for triple in _triples(text)
        }
        for row in first
    }
    examples_with = Counter(triple for of_example in own.values() for triple in of_example)

    def unseen(text: str, number: int) -> float:
        of_text = _triples(text)
        missed = sum(examples_with[triple] <= (triple in own[number]) for triple in of_text)
        return missed / len(of_text) if of_text else 0.0

    def form(of_texts: Sequence[str], examples: Iterable[int]) -> Form:
        pairs = zip(of_texts, examples, strict=True)
        return Form(
            of_texts,
            np.array([_repeated(text) for text in of_texts]),
            np.array([unseen(text, number) for text, number in pairs]),
        )

    return form(texts, example.tolist()), form([references[row][0] for row in first], numbers.tolist())


def _triples(text: str) -> list[str]:
    """Each three characters in a row."""
    folded = " ".join(text.casefold().split())
    return [folded[i : i + 3] for i in range(len(folded) - 2)]


def _repeated(text: str) -> float:
    pairs = list(pairwise(words(text)))
    return 1 - len(set(pairs)) / len(pairs) if pairs else 0.0
