"""The decoders of a task on planes of a diversity and a quality, over shared resamples of some examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

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
            items = [(self.stats[name][metric.name][self.examples], aggregate) for name in names]
            self._known[key] = dict(zip(names, resampled_all(self.weights, items), strict=True))
        return self._known[key]


class Plane:
    """All decoders by one diversity and one quality. Points, and what they are compared with, are found once.

    why: why the metrics have no value, which goes before other reasons for a missing difference.
    """

    def __init__(self, decoders: Decoders, diversity: Metric, quality: Metric, why: str = "") -> None:
        self.decoders, self.diversity, self.quality, self.why = decoders, diversity, quality, why
        self._differences: dict[str, Differences] = {}

    @cached_property
    def points(self) -> dict[str, Point]:
        """By decoder, both coordinates turned so that more is better."""
        across, along = self.decoders.values(self.diversity), self.decoders.values(self.quality)
        signed = self.decoders.values(self.quality, signed=True) if self.quality.signed else {}
        nothing = missing(len(self.decoders.examples), len(self.decoders.weights))
        return {
            cell.name: Point(
                self.diversity.up(across.get(cell.name, nothing)),
                self.quality.up(along.get(cell.name, nothing)),
                signed.get(cell.name),
            )
            for cell in self.decoders.cells
        }

    def curve(self, family: str) -> Curve:
        """A family's decoders over their setting. Plain sampling is temperature 1 and p = 1, greedy is temperature 0;
        top-p goes on beyond p = 1 with temperatures above 1. Without a decoder of the family itself there is none.
        """
        members: dict[float, Point] = {}
        if not any(cell.family == family for cell in self.decoders.cells):
            return Curve.of(members)
        for cell in self.decoders.cells:
            above = cell.family == "temperature" and cell.setting is not None and cell.setting > 1
            if cell.family == family or (family == "top_p" and above):
                members[float(cell.setting or 0)] = self.points[cell.name]
            elif cell.family == "greedy" and family == "temperature":
                members[0.0] = self.points[cell.name]
        for cell in self.decoders.cells:
            if cell.decoder == Decoder(Base()):
                members.setdefault(1.0, self.points[cell.name])
        return Curve.of(members)

    @cached_property
    def unrouted(self) -> dict[Base, Point]:
        """By base decoder."""
        return {
            cell.decoder.base: self.points[cell.name]
            for cell in self.decoders.cells
            if not (cell.decoder.q or cell.decoder.lam or cell.decoder.beams)
        }

    def differences(self, against: str) -> Differences:
        """Every decoder with routes against a curve at its own diversity (against: its family), or its base."""
        if against not in self._differences:
            found = self._from_curve(against) if against in CURVES else self._from_base()
            self._differences[against] = {
                name: replace(one, missing=self.why) if self.why and one.value is None else one
                for name, one in found.items()
            }
        return self._differences[against]

    def _from_curve(self, family: str) -> Differences:
        curve = self.curve(family)
        return {
            cell.name: matched_difference(self.points[cell.name], curve) for cell in self.decoders.routed
        }

    def _from_base(self) -> Differences:
        """Quality minus that of the same decoder without routes."""
        found = Differences()
        for cell in self.decoders.routed:
            base = self.unrouted.get(cell.decoder.base)
            difference = self.points[cell.name].quality - base.quality if base else None
            known = difference is not None and np.isfinite(difference.value)
            why = "" if known else NO_BASE if base is None else UNDEFINED
            found[cell.name] = MatchedDifference(difference if known else None, missing=why)
        return found
