"""Tokens from δ, for all members of a batch of rows at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.walk import Walk
from random_routing.law.distribution import Distribution, distribution
from random_routing.law.noise import Source
from random_routing.law.routes import barred, delta, frozen, ranked
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Base, Route

KEPT = 64  # frozen distributions; up to 2 MB each


class Draws:
    """Draws from δ of every route.

    tables: δ (V,) of each `unigram` route; sources: whose noise a member has (for `frozen` and for
    random paths).
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        tables: dict[Route, np.ndarray],
        sources: Sequence[Source],
        device: str,
    ) -> None:
        self.vocabulary, self.tables, self.sources = vocabulary, tables, sources
        self.barred = barred(vocabulary, device)  # (V,)
        self.cumulative = {route: table.cumsum() for route, table in tables.items()}
        self.kept: dict[tuple[Route, int], np.ndarray] = {}

    def by_scores(
        self, route: Route, scores: Tensor, row: np.ndarray, source: np.ndarray, u: np.ndarray
    ) -> np.ndarray:
        """Tokens (M,) of a score-based route. scores: (R, V) logits; row, source, u: (M,)."""
        allowed = self.vocabulary.allowed
        if route.kind == "uniform":
            return allowed[_index(u, len(allowed))]
        if route.kind == "top_k":
            rows, which = np.unique(row, return_inverse=True)
            k = min(route.k, len(allowed))
            likeliest = ranked(scores[torch.from_numpy(rows)], self.barred, k)  # (R, k)
            return likeliest.cpu().numpy()[which, _index(u, k)]
        if route.kind == "unigram":
            return _search(self.cumulative[route], u)
        tokens = np.empty(len(u), dtype=np.int64)
        for number in np.unique(source):
            here = source == number
            tokens[here] = _search(self.frozen(route, number).cumsum(), u[here])
        return tokens

    def frozen(self, route: Route, source: int) -> np.ndarray:
        """The random distribution of one text: (V,). The last few are kept."""
        key = (route, int(source))
        if key not in self.kept:
            u = self.sources[source].frozen(len(self.vocabulary.allowed))
            if len(self.kept) >= KEPT:
                self.kept.pop(next(iter(self.kept)))
            self.kept[key] = frozen(u, route.concentration, self.vocabulary)
        return self.kept[key]

    def along_paths(
        self, route: Route, purpose: str, row: np.ndarray, source: np.ndarray, step: int, walk: Walk
    ) -> Iterator[tuple[Distribution, np.ndarray, np.ndarray]]:
        """δ of a structural route, a piece at a time: the distribution of its paths, the members (M',)
        that have one of them, and which. Members of one row and source share a path.
        """
        pairs, back = np.unique(np.stack([row, source], axis=1), axis=0, return_inverse=True)
        back = back.reshape(-1)
        for start in range(0, len(pairs), walk.capacity):
            piece = pairs[start : start + walk.capacity]
            u = np.stack([self.sources[s].path(purpose, step, walk.width(route)) for s in piece[:, 1]])
            law = distribution(walk(piece[:, 0], route, u).float() + self.barred, Base())
            here = np.flatnonzero((back >= start) & (back < start + len(piece)))
            yield law, here, back[here] - start

    def mass(
        self,
        route: Route,
        purpose: str,
        scores: Tensor,
        row: np.ndarray,
        source: np.ndarray,
        step: int,
        walk: Walk | None,
    ) -> Tensor:
        """δ in closed form for each of M members: (M, V) float32. scores: (R, V); row, source: (M,)."""
        if route.structural:
            assert walk is not None
            found = torch.empty(len(row), self.vocabulary.size, device=scores.device)
            for law, here, which in self.along_paths(route, purpose, row, source, step, walk):
                at = torch.from_numpy(which)
                total = law.blocks[at, -1:].to(law.weights.dtype)  # a plain sum changes with the batch
                found[torch.from_numpy(here)] = law.weights[at] / total
            return found
        table = self.tables.get(route)
        if route.kind == "frozen":
            table = np.stack([self.frozen(route, number) for number in source])
        return delta(route, scores[torch.from_numpy(row)].float(), self.vocabulary, table)


def _index(u: np.ndarray, size: int) -> np.ndarray:
    return np.minimum((u * size).astype(np.int64), size - 1)


def _search(cumulative: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The token at which the cumulative mass (V,), in order of token id, passes u: (M,) int64."""
    found = np.searchsorted(cumulative, u * cumulative[-1], side="right")
    return np.minimum(found, np.searchsorted(cumulative, cumulative[-1]))  # the last token with mass
