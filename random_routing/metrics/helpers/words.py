"""What a word is, for all metrics that count words."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from itertools import count

import numpy as np
import regex
from nltk.tokenize import wordpunct_tokenize

from random_routing.metrics.helpers.ragged import Ragged, concatenated

# Scripts that put no space between words, by their names in Unicode.
SPACELESS = (
    "Han", "Hiragana", "Katakana", "Bopomofo", "Yi", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Tai_Le",
    "New_Tai_Lue", "Tai_Tham", "Tai_Viet", "Javanese", "Balinese",
)  # fmt: skip
SHARED = "\u30fc\uff70\u3006"  # the long vowel marks and 〆, which Unicode gives to no single script
# What a reader sees as one character: a letter with its vowel signs and tone marks (Unicode annex 29).
CHARACTER = regex.compile(
    "(?=[" + SHARED + "".join(rf"\p{{Script={name}}}" for name in SPACELESS) + r"])\X"
)
BY_SCRIPT = f"characters of scripts without spaces|regex:{version('regex')}"
WORDS = f"tok:wordpunct, {BY_SCRIPT}|case:mixed|nltk:{version('nltk')}"  # nltk's tokenizer runs on regex


@functools.lru_cache(maxsize=65536)
def words(text: str) -> tuple[str, ...]:
    """Words and runs of punctuation (nltk's wordpunct_tokenize), case kept; single characters of a script that
    has no spaces, where a run of letters is a whole clause.
    """
    return tuple(_words(text))


def _words(text: str) -> list[str]:
    if text.isascii():
        return wordpunct_tokenize(text)
    tokens: list[str] = []
    place = 0
    for character in CHARACTER.finditer(text):
        tokens += wordpunct_tokenize(text[place : character.start()])
        tokens.append(character[0])
        place = character.end()
    return tokens + wordpunct_tokenize(text[place:])


def spaced(text: str) -> str:
    """The text with spaces around the characters of scripts without spaces; others stay as they are."""
    return text if text.isascii() else CHARACTER.sub(r" \g<0> ", text)


def word_ids(texts: Sequence[str]) -> Ragged:
    """The words of each text as numbers, equal ones for equal words, counted from 0 as they are first seen."""
    number = defaultdict[str, int](count().__next__).__getitem__
    rows = [np.fromiter(map(number, _words(text)), dtype=np.int32) for text in texts]
    return concatenated(rows, np.int32)
