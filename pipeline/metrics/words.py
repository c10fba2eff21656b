"""What a word is, for all metrics that count words."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from itertools import count

import numpy as np
from nltk.tokenize import wordpunct_tokenize

from pipeline.metrics.ragged import Ragged, concatenated

WORDS = f"tok:wordpunct|case:mixed|nltk:{version('nltk')}"


@functools.lru_cache(maxsize=65536)
def words(text: str) -> tuple[str, ...]:
    """Words and runs of punctuation (nltk's wordpunct_tokenize), case kept."""
    return tuple(wordpunct_tokenize(text))


def word_ids(texts: Sequence[str]) -> Ragged:
    """The words of each text as numbers, equal ones for equal words, counted from 0 as they are first seen."""
    number = defaultdict[str, int](count().__next__).__getitem__
    rows = [np.fromiter(map(number, wordpunct_tokenize(text)), dtype=np.int32) for text in texts]
    return concatenated(rows, np.int32)
