"""What a random token does to the tokens after it: does the text recover?

The judge's log-probability of the token 1, 2, 4 and 8 steps after an *isolated* random token, with no
other one in the 8 tokens before it and the 8 after it, against the token at the same place in the
text that the same decoder writes without routes. So all four lags are measured on the same events,
and texts that are full of noise have none. Judge and generator have different tokens: a judge
token's log-probability is spread evenly over its characters, and a generator token has the sum over
its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from random_routing.law.cells import Cell, Decoder
from random_routing.law.origin import Origin
from random_routing.metrics.metric import CellTexts, ratio
from random_routing.models.tokens import continuation, encode_as_text, token_ends
from random_routing.resampling.intervals import interval, paired_difference
from random_routing.resampling.weights import Weights
from random_routing.results.measured import NAN, Recovery
from random_routing.tasks import TaskKind

LAGS = (1, 2, 4, 8)
LEAST = 8  # examples with events, for an interval
MOST_KNOWN = 100_000  # texts whose values are kept: some tens of MiB


def by_character(
    offsets: Sequence[tuple[int, int]], log_probs: np.ndarray, before: int, length: int
) -> np.ndarray:
    """Log-probability of each character, (length,) float64, of a text that stands after `before` characters.

    offsets: (start, end) of each judge token in both together.
    """
    characters = np.zeros(length)
    for (start, end), value in zip(offsets, log_probs, strict=True):
        start, end = max(start - before, 0), min(end - before, length)
        if end > start:
            characters[start:end] += value / (end - start)
    return characters


def by_token(ends: np.ndarray, lead: int, characters: np.ndarray, unread: int = 0) -> np.ndarray:
    """Log-probability of each generator token, (T,); NaN for one without characters in the text.

    lead: characters that were stripped from the beginning of what the tokens spell; unread: first characters, which
    have no log-probability.
    """
    edges = np.clip(np.concatenate([[0], ends]) - lead, 0, len(characters))
    sums = np.concatenate([[0.0], characters.cumsum()])
    values = sums[edges[1:]] - sums[edges[:-1]]
    return np.where((edges[1:] > edges[:-1]) & (edges[:-1] >= unread), values, np.nan)


def isolated(routes: np.ndarray) -> np.ndarray:
    """Places of random tokens with no other in the 8 before and the 8 after, which all exist: (N,) int64."""
    window, random = LAGS[-1], routes != Origin.MODEL
    places = np.flatnonzero(random)
    places = places[places + window < len(routes)]
    before = np.concatenate([[0], random.cumsum()])  # random tokens before each place
    first = np.maximum(places - window, 0)
    return places[before[places + window + 1] - before[first] == 1]


class Judged:
    """Judge log-probabilities by generator token, each text once while few are known.

    before: the token ids that each example's texts follow.
    """

    def __init__(
        self, tokenizer: Any, judge_tokenizer: Any, kind: TaskKind, before: Sequence[Sequence[int]]
    ) -> None:
        self.tokenizer, self.judge_tokenizer = tokenizer, judge_tokenizer
        self.kind, self.before = kind, before
        self.known: dict[tuple[int, tuple[int, ...]], np.ndarray] = {}

    def __call__(self, cell: CellTexts, row: int) -> np.ndarray:
        """(T,) of text `row`, NaN where a token has no characters."""
        key = (int(cell.example[row]), tuple(np.asarray(cell.token_ids[row]).tolist()))
        if len(self.known) >= MOST_KNOWN:
            self.known.clear()
        if key not in self.known:
            self.known[key] = self._values(cell.texts[row], *key, cell.judge_logprobs[row])
        return self.known[key]

    def _values(self, text: str, example: int, ids: tuple[int, ...], log_probs: np.ndarray) -> np.ndarray:
        whole, before_ids = self.kind.judge_text(text), self.before[example]
        encoded = encode_as_text(
            self.judge_tokenizer, [whole], add_special_tokens=False, return_offsets_mapping=True
        )
        before, offsets = len(whole) - len(text), encoded["offset_mapping"][0]
        # 1 where the judge has no opening to score the first token after
        skipped = len(offsets) - len(log_probs)
        unread = offsets[skipped - 1][1] - before if skipped else 0
        characters = by_character(offsets[skipped:], log_probs, before, len(text))
        raw = continuation(self.tokenizer, before_ids, ids)
        lead = 0 if self.kind.goes_on else len(raw) - len(raw.lstrip())
        return by_token(token_ends(self.tokenizer, before_ids, ids), lead, characters, unread)


def recovery(
    cells: Sequence[Cell],
    texts: Mapping[str, CellTexts],
    judged: Judged,
    weights: Weights,
    confidence: float,
) -> list[Recovery]:
    """A record for each variant and lag, over all its decoders with routes; weights: (B, E) resamples.

    Variants whose base decoder no cell has have nothing to be compared with, and are left out. Decoders that share
    their noise share places of events too; examples are what is resampled, and few with events give no interval.
    """
    records = []
    for variant in dict.fromkeys(cell.variant for cell in cells if cell.variant):
        of_variant = [cell for cell in cells if cell.variant == variant]
        bases = {Decoder(cell.decoder.base) for cell in of_variant}
        plain = next((cell.name for cell in cells if cell.decoder in bases), None)
        routed = {
            cell.decoder: cell.name for cell in reversed(of_variant) if cell.decoder.q or cell.decoder.lam
        }
        if plain is None:
            continue
        control_texts = texts[plain]  # two cells in memory: this one, and each other in turn
        sums, seen = np.zeros((control_texts.examples, len(LAGS), 3)), set[tuple[int, int]]()
        for name in routed.values():
            sums += _stats(texts[name], control_texts, judged, seen)
        for number, lag in enumerate(LAGS):
            stats = sums[:, number]  # (E, 3)
            if not stats[:, 2].sum():
                continue
            after, control = stats[:, [0, 2]], stats[:, [1, 2]]
            mean_after = interval(after, weights, ratio, confidence)[0]
            mean_control = interval(control, weights, ratio, confidence)[0]
            difference, low, high = paired_difference(after, control, weights, ratio, confidence)
            if np.count_nonzero(stats[:, 2]) < LEAST:
                low = high = NAN
            events = int(stats[:, 2].sum())
            records.append(
                Recovery(variant, lag, events, len(seen), mean_after, mean_control, difference, low, high)
            )
    return records


def _stats(cell: CellTexts, plain: CellTexts, judged: Judged, seen: set[tuple[int, int]]) -> np.ndarray:
    """(E, lags, 3): log-probability after a random token, that of the text without routes there, events. Their places,
    (text, step), are added to `seen`.

    Left out whole are events with a token of no characters at or after them (a part of a character:
    its cost would fall on the next token), and those beyond the end of the other text.
    """
    sums = np.zeros((cell.examples, len(LAGS), 3))
    for row, routes in enumerate(cell.routes):
        places = isolated(routes)
        if not len(places):
            continue
        control, routed = judged(plain, row), judged(cell, row)
        places = places[places + LAGS[-1] < len(control)]
        span = places[:, None] + np.arange(LAGS[-1] + 1)  # (N, 9): the event and the 8 tokens after it
        whole = np.isfinite(routed[span]).all(1) & np.isfinite(control[span[:, 1:]]).all(1)
        seen.update((row, int(place)) for place in places[whole])
        after = places[whole, None] + np.array(LAGS)  # (N, lags)
        pairs = np.stack([routed[after], control[after], np.ones(after.shape)], axis=2)
        sums[cell.example[row]] += pairs.sum(0)
    return sums
