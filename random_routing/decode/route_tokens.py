"""Tokens from δ, for many texts at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.model_call import Call, cut
from random_routing.law.base_decoders import Plain, plain
from random_routing.law.noise import FROZEN, PATH, Source, spread, uniform
from random_routing.law.origin import Origin
from random_routing.law.race import race
from random_routing.law.routes import barred, delta, frozen, ranked
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Route

KEPT = 64  # frozen distributions; up to 2 MB each


class Draws:
    """δ of every route: tokens drawn from it, and its closed form.

    noise: (sources, 7, steps) int64; tables: δ (V,) of each `unigram` route; sources: whose that is, for `frozen`.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        noise: Tensor,
        tables: dict[Route, np.ndarray],
        sources: Sequence[Source],
    ) -> None:
        self.vocabulary, self.noise, self.tables, self.sources = vocabulary, noise, tables, sources
        device = noise.device
        self.allowed = torch.from_numpy(vocabulary.allowed).to(device)
        self.barred = barred(vocabulary, device)  # (V,)
        self.cumulative = {route: _cumulative(table).to(device) for route, table in tables.items()}  # (V,)
        self.kept: dict[tuple[Route, int], np.ndarray] = {}

    def tokens(self, origin: Origin, route: Route, call: Call, source: Tensor, word: Tensor) -> Tensor:
        """A token of δ for each of the call's texts: (M,) int64. source, word: (M,) whose noise, and its word."""
        u = uniform(word)
        if route.kind == "uniform":
            return self.allowed[_index(u, len(self.allowed))]
        if route.kind == "top_k":
            k = min(route.k, len(self.allowed))
            rows, which = call.row.unique(return_inverse=True)
            return self._likeliest(call.logits, rows, k)[which, _index(u, k)]
        if route.kind == "unigram":
            return _search(self.cumulative[route], u)
        tokens = torch.empty_like(word)
        if route.structural:
            for p, here, path in self._along_paths(origin, route, call, source):
                tokens[here] = race(p.weights, path, word[here])
        else:
            numbers, texts = source.unique(return_counts=True)
            order = source.argsort(stable=True).split(texts.tolist())
            for number, here in zip(numbers.tolist(), order, strict=True):
                tokens[here] = _search(_cumulative(self._frozen(route, number)).to(u.device), u[here])
        return tokens

    def mass(self, origin: Origin, route: Route, call: Call, source: Tensor) -> Tensor:
        """δ in closed form for each of the call's texts: (M, V) float32. source: (M,)."""
        if route.structural:
            mass = torch.empty(len(source), self.vocabulary.size, device=call.logits.device)
            for p, here, path in self._along_paths(origin, route, call, source):
                mass[here] = (p.weights / p.total.float()[:, None])[path]
            return mass
        table = self.tables.get(route)
        if route.kind == "frozen":
            table = np.stack([self._frozen(route, number) for number in source.tolist()])
        return delta(route, call.scores(), self.vocabulary, table)

    def _along_paths(
        self, origin: Origin, route: Route, call: Call, source: Tensor
    ) -> Iterator[tuple[Plain, Tensor, Tensor]]:
        """δ of a structural route, some paths at a time: their distributions (N, V), the texts (M',) that have
        one of them, and which. Texts of one row and source share a path.
        """
        walk = call.walk
        assert walk is not None
        pairs, path = (call.row * len(self.noise) + source).unique(return_inverse=True)
        width, first = walk.parts.width(route), 0
        for some in pairs.split(len(walk.slots.spare)):
            row, owner = some // len(self.noise), some % len(self.noise)
            u = uniform(spread(self.noise[owner, PATH[origin], call.step], width))
            p = plain(walk(row, route, u).float() + self.barred)
            here = ((first <= path) & (path < first + len(some))).nonzero()[:, 0]
            yield p, here, path[here] - first
            first += len(some)

    def _likeliest(self, logits: Tensor, rows: Tensor, k: int) -> Tensor:
        """(R, k) token ids that may be drawn, likeliest first, of some rows of the logits."""
        pieces = (logits.index_select(0, some).float() for some in cut(rows, logits.shape[1]))
        return torch.cat([ranked(scores, self.barred, k) for scores in pieces])

    def _frozen(self, route: Route, source: int) -> np.ndarray:
        """The random distribution of one source: (V,). The last few are kept."""
        key = (route, source)
        if key not in self.kept:
            u = self.sources[source].uniforms(FROZEN, len(self.vocabulary.allowed))
            if len(self.kept) >= KEPT:
                self.kept.pop(next(iter(self.kept)))
            self.kept[key] = frozen(u, route.concentration, self.vocabulary)
        return self.kept[key]


def _index(u: Tensor, size: int) -> Tensor:
    return (u * size).long().clamp(max=size - 1)


def _cumulative(table: np.ndarray) -> Tensor:
    return torch.from_numpy(table.cumsum())


def _search(cumulative: Tensor, u: Tensor) -> Tensor:
    """The token at which the cumulative mass (V,), in order of token id, passes u: (M,) int64."""
    last = torch.searchsorted(cumulative, cumulative[-1:])  # the last token with mass
    return torch.searchsorted(cumulative, u * cumulative[-1], right=True).minimum(last)
