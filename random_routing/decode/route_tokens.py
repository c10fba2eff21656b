"""Tokens from δ, for many texts at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from random_routing.decode.model_call import Call, cut
from random_routing.law.base_decoders import Distribution, distribution
from random_routing.law.noise import PATHS, Source
from random_routing.law.origin import Origin
from random_routing.law.routes import barred, delta, frozen, ranked
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Base, Route

KEPT = 64  # frozen distributions; up to 2 MB each


class Draws:
    """δ of every route: tokens drawn from it, and its closed form.

    tables: δ (V,) of each `unigram` route; sources: whose noise a text has, for `frozen` and for random paths.
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

    def tokens(
        self, origin: Origin, route: Route, call: Call, source: np.ndarray, u: np.ndarray
    ) -> np.ndarray:
        """A token of δ for each of the call's texts: (M,) int64. source, u: (M,) whose noise, and the number."""
        allowed = self.vocabulary.allowed
        tokens = np.empty(len(u), dtype=np.int64)
        if route.structural:
            for law, here, path in self._along_paths(origin, route, call, source):
                tokens[here] = law.draw(path, u[here])
        elif route.kind == "uniform":
            tokens = allowed[_index(u, len(allowed))]
        elif route.kind == "top_k":
            k = min(route.k, len(allowed))
            rows, which = np.unique(call.row, return_inverse=True)
            tokens = self._likeliest(call.logits, rows, k)[which, _index(u, k)]
        elif route.kind == "unigram":
            tokens = _search(self.cumulative[route], u)
        else:
            for number in np.unique(source):
                here = source == number
                tokens[here] = _search(self._frozen(route, number).cumsum(), u[here])
        return tokens

    def mass(self, origin: Origin, route: Route, call: Call, source: np.ndarray) -> Tensor:
        """δ in closed form for each of the call's texts: (M, V) float32. source: (M,)."""
        if route.structural:
            mass = torch.empty(len(source), self.vocabulary.size, device=call.logits.device)
            for law, here, path in self._along_paths(origin, route, call, source):
                at = torch.from_numpy(path)
                total = law.blocks[at, -1:].to(law.weights.dtype)  # a plain sum changes with the batch
                mass[torch.from_numpy(here)] = law.weights[at] / total
            return mass
        table = self.tables.get(route)
        if route.kind == "frozen":
            table = np.stack([self._frozen(route, number) for number in source])
        return delta(route, call.scores(), self.vocabulary, table)

    def _along_paths(
        self, origin: Origin, route: Route, call: Call, source: np.ndarray
    ) -> Iterator[tuple[Distribution, np.ndarray, np.ndarray]]:
        """δ of a structural route, some paths at a time: their distribution (N, V), the texts (M',) that have
        one of them, and which. Texts of one row and source share a path.
        """
        walk = call.walk
        assert walk is not None
        pairs, path = np.unique(np.stack([call.row, source], axis=1), axis=0, return_inverse=True)
        path = path.reshape(-1)
        size, width = len(walk.slots.spare), walk.parts.width(route)
        for start in range(0, len(pairs), size):
            row, owner = pairs[start : start + size].T
            u = np.stack([self.sources[s].path(PATHS[origin], call.step, width) for s in owner])
            law = distribution(walk(row, route, u).float() + self.barred, Base())
            here = np.flatnonzero((start <= path) & (path < start + len(row)))
            yield law, here, path[here] - start

    def _likeliest(self, logits: Tensor, rows: np.ndarray, k: int) -> np.ndarray:
        """(R, k) token ids that may be drawn, likeliest first, of some rows of the logits."""
        pieces = (logits[torch.from_numpy(some)].float() for some in cut(rows, logits.shape[1]))
        return np.concatenate([ranked(scores, self.barred, k).cpu().numpy() for scores in pieces])

    def _frozen(self, route: Route, source: int) -> np.ndarray:
        """The random distribution of one source: (V,). The last few are kept."""
        key = (route, int(source))
        if key not in self.kept:
            u = self.sources[source].frozen(len(self.vocabulary.allowed))
            if len(self.kept) >= KEPT:
                self.kept.pop(next(iter(self.kept)))
            self.kept[key] = frozen(u, route.concentration, self.vocabulary)
        return self.kept[key]


def _index(u: np.ndarray, size: int) -> np.ndarray:
    return np.minimum((u * size).astype(np.int64), size - 1)


def _search(cumulative: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The token at which the cumulative mass (V,), in order of token id, passes u: (M,) int64."""
    found = np.searchsorted(cumulative, u * cumulative[-1], side="right")
    return np.minimum(found, np.searchsorted(cumulative, cumulative[-1]))  # the last token with mass
