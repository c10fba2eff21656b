"""The decoders of a task on planes of a diversity and a quality, over shared resamples of some examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from random_routing.comparison import CURVES
from random_routing.comparison.curves import Curve, MatchedDifference, Point, matched_difference
from random_routing.law.cells import Cell, Decoder
from random_routing.metrics.metric import Metric
from random_routing.resampling.intervals import Sampled, missing, resampled_all
from random_routing.resampling.weights import Weights
from random_routing.settings import Base

Differences = dict[str, MatchedDifference]  # by decoder
NO_BASE = "no cell has its base decoder without routes"
UNDEFINED = "undefined for these texts"


class Decoders:
    """All decoders of a task and the statistics of their texts. stats: decoder → metric → (E, k).

    cells: of distinct decoders, whose names are the decoders'; metrics: all that were measured. examples: (N,) those
    that are looked at; weights: (B, N) resamples of them. Each metric is resampled once, when it is asked for.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        stats: dict[str, dict[str, np.ndarray]],
        metrics: dict[str, Metric],
        examples: np.ndarray,
        weights: Weights,
    ) -> None:
        self.cells, self.stats, self.metrics = list(cells), stats, metrics
        self.examples, self.weights = examples, weights
        self.routed = [cell for cell in cells if cell.decoder.q or cell.decoder.lam]
        self._known: dict[tuple[str, bool], dict[str, Sampled]] = {}

    def values(self, metric: Metric, signed: bool = False) -> dict[str, Sampled]:
        """Of every decoder that has not too few texts for it. signed: before its sign is lost."""
        if (key := (metric.name, signed)) not in self._known:
            aggregate = metric.signed if signed and metric.signed else metric.aggregate
            names = [cell.name for cell in self.cells if metric.name in self.stats[cell.name]]
            self._known[key] = self._resampled(names, metric.name, aggregate)
        return self._known[key]

    def _resampled(
        self, names: Sequence[str], statistic: str, aggregate: Callable[[np.ndarray], np.ndarray]
    ) -> dict[str, Sampled]:
        items = [(self.stats[name][statistic][self.examples], aggregate) for name in names]
        return dict(zip(names, resampled_all(self.weights, items), strict=True))

    def points(self, diversity: Metric, quality: Metric) -> dict[str, Point]:
        """By decoder, both coordinates turned so that more is better."""
        across, along = self.values(diversity), self.values(quality)
        signed = self.values(quality, signed=True) if quality.signed else {}
        nothing = missing(len(self.examples), len(self.weights))
        return {
            cell.name: Point(
                diversity.up(across.get(cell.name, nothing)),
                quality.up(along.get(cell.name, nothing)),
                signed.get(cell.name),
            )
            for cell in self.cells
        }

    def curve(self, family: str, points: dict[str, Point]) -> Curve:
        """A family's decoders over their setting. Plain sampling is temperature 1 and p = 1, greedy is temperature 0;
        top-p goes on beyond p = 1 with temperatures above 1.
        """
        members: dict[float, Point] = {}
        for cell in self.cells:
            above = cell.family == "temperature" and cell.setting is not None and cell.setting > 1
            if cell.family == family or (family == "top_p" and above):
                members[float(cell.setting or 0)] = points[cell.name]
            elif cell.family == "greedy" and family == "temperature":
                members[0.0] = points[cell.name]
        for cell in self.cells:
            if cell.decoder == Decoder(Base()):
                members.setdefault(1.0, points[cell.name])
        return Curve.of(members)

    def unrouted(self, points: dict[str, Point]) -> dict[Base, Point]:
        """By base decoder."""
        return {
            cell.decoder.base: points[cell.name]
            for cell in self.cells
            if not (cell.decoder.q or cell.decoder.lam or cell.decoder.beams)
        }

    def from_curve(self, family: str, points: dict[str, Point]) -> Differences:
        """Every decoder with routes against a curve at its own diversity."""
        curve = self.curve(family, points)
        return {cell.name: matched_difference(points[cell.name], curve) for cell in self.routed}

    def from_base(self, points: dict[str, Point]) -> Differences:
        """Every decoder with routes: its quality minus that of the same without."""
        plain, found = self.unrouted(points), Differences()
        for cell in self.routed:
            base = plain.get(cell.decoder.base)
            difference = points[cell.name].quality - base.quality if base else None
            known = difference is not None and np.isfinite(difference.value)
            why = "" if known else NO_BASE if base is None else UNDEFINED
            found[cell.name] = MatchedDifference(difference if known else None, missing=why)
        return found

    def differences(self, against: str, points: dict[str, Point], why: str = "") -> Differences:
        """against: a curve's family, or base. why: a reason that goes before others where there is no difference."""
        found = self.from_curve(against, points) if against in CURVES else self.from_base(points)
        if not why:
            return found
        return {
            name: one if one.value is not None else replace(one, missing=why) for name, one in found.items()
        }
