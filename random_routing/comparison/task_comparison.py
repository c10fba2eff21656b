"""The comparison of a task: matched differences, differences from the unrouted decoder, fronts, the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from random_routing.comparison import CURVES
from random_routing.comparison.corrected_p_values import adjusted
from random_routing.comparison.curves import Point, matched_difference
from random_routing.comparison.fronts import family_volume, front, front_shares
from random_routing.law.cells import Cell, Decoder
from random_routing.metrics.metric import Metric, first_with_enough
from random_routing.resampling.intervals import Sampled, missing, sampled
from random_routing.resampling.weights import Weights, resampled_sums
from random_routing.results.compared import AgainstBase, Best, Compared, Hypervolume, Matched, OnFront
from random_routing.settings import Base, Settings, Task

OUTSIDE = "its diversity lies outside the curve"
NO_CURVE = "there is no such curve"
Tested = TypeVar("Tested", Matched, AgainstBase)


class Comparison:
    """All decoders of a task as points. stats: decoder → metric → (E, k), statistics per example.

    ids: of the examples; halves and resamples follow them, not the order of the file. cells: of distinct
    decoders, whose names are the decoders'.
    """

    def __init__(
        self,
        settings: Settings,
        task: Task,
        ids: Sequence[str],
        cells: Sequence[Cell],
        stats: dict[str, dict[str, np.ndarray]],
        metrics: dict[str, Metric],
    ) -> None:
        self.settings, self.cells, self.stats = settings, list(cells), stats
        self.diversity = metrics[settings.comparison.diversity]
        qualities = [metrics[name] for name in settings.comparison.quality[task.name]]
        self.quality = first_with_enough(qualities, len(ids), task.samples) or qualities[0]
        reasons = {m.name: m.missing(len(ids), task.samples) for m in (self.diversity, self.quality)}
        self.missing = "; ".join(f"{name} {why}" for name, why in reasons.items() if why)
        self.order = np.argsort(np.array(ids))
        self.routed = [c for c in cells if c.decoder.q or c.decoder.lam]

    def points(self, examples: np.ndarray, weights: Weights) -> dict[str, Point]:
        """Decoder → point over some examples, (N,) indices, both coordinates turned so that more is better.

        weights: (B, N) resamples of them.
        """

        def coordinate(metric: Metric) -> dict[str, Sampled]:
            """Of every decoder that has not too few texts for it."""
            known = [cell.name for cell in self.cells if metric.name in self.stats[cell.name]]
            stats = {name: self.stats[name][metric.name][examples] for name in known}
            return {
                name: metric.up(sampled(stats[name], sums, metric.aggregate))
                for name, sums in zip(stats, resampled_sums(weights, list(stats.values())), strict=True)
            }

        diversity, quality = coordinate(self.diversity), coordinate(self.quality)
        nothing = missing(len(examples), len(weights))
        return {
            cell.name: Point(diversity.get(cell.name, nothing), quality.get(cell.name, nothing))
            for cell in self.cells
        }

    def curve(self, family: str, points: dict[str, Point]) -> list[Point]:
        """A family's decoders, and plain sampling, which is temperature 1 and p = 1, once."""
        plain = [cell.name for cell in self.cells if cell.decoder == Decoder(Base())]
        others = [c.name for c in self.cells if c.family == family and c.name not in plain]
        return [points[name] for name in (*others, *plain[:1])]

    def result(self, weights: Weights, half_weights: Weights) -> Compared:
        """weights: (B, E) resamples of all examples; half_weights: (B, E // 2) of every second one, in the
        order of their ids.
        """
        points = self.points(np.arange(weights.shape[1]), weights)
        return Compared(
            diversity=self.diversity.name,
            quality=self.quality.name,
            correction=self.settings.comparison.correction,
            matched=self._matched(points),
            against_base=self._against_base(points),
            front=self._front(points),
            hypervolume=self._volumes(points),
            best=self._best(half_weights),
        )

    def _numbers(self, difference: Sampled) -> dict[str, float]:
        low, high = difference.interval(self.settings.confidence)
        return {"difference": difference.value, "lo": low, "hi": high, "p": difference.p_value()}

    def _corrected(self, records: list[Tested]) -> list[Tested]:
        p_values = adjusted([record.p for record in records], self.settings.comparison.correction)
        return [replace(record, p_adjusted=p) for record, p in zip(records, p_values, strict=True)]

    def _matched(self, points: dict[str, Point]) -> list[Matched]:
        """Every decoder with routes against each curve at its own diversity; corrected over each curve."""
        records = []
        for family in CURVES:
            curve = self.curve(family, points)
            why = self.missing or (OUTSIDE if len(curve) > 1 else NO_CURVE)
            of_curve = []
            for cell in self.routed:
                difference = matched_difference(points[cell.name], curve) if len(curve) > 1 else None
                numbers = self._numbers(difference) if difference else {}
                missing = "" if difference else why
                of_curve.append(Matched(cell=cell.name, curve=family, missing=missing, **numbers))
            records += self._corrected(of_curve)
        return records

    def _against_base(self, points: dict[str, Point]) -> list[AgainstBase]:
        """Every decoder with routes against the same without; corrected over both coordinates together."""
        plain = {
            cell.decoder.base: points[cell.name]
            for cell in self.cells
            if not (cell.decoder.q or cell.decoder.lam or cell.decoder.beams)
        }
        records = []
        for cell in self.routed:
            base, point = plain.get(cell.decoder.base), points[cell.name]
            if base is None:
                continue
            differences = (point.diversity - base.diversity, point.quality - base.quality)
            for metric, difference in zip((self.diversity, self.quality), differences, strict=True):
                if math.isfinite(difference.value):
                    records.append(
                        AgainstBase(cell=cell.name, metric=metric.name, **self._numbers(difference))
                    )
        return self._corrected(records)

    def _families(self) -> dict[str, list[str]]:
        """Family → its decoders; all with routes are one family, bases of variants by themselves another."""
        families: dict[str, list[str]] = {}
        for cell in self.cells:
            unrouted = "base" if cell.family == "routing" else cell.family
            families.setdefault("routing" if cell in self.routed else unrouted, []).append(cell.name)
        return families

    def _front(self, points: dict[str, Point]) -> list[OnFront]:
        """Who is on the front of all decoders and on that of its family, and in which share of resamples."""
        values = {name: (p.diversity.value, p.quality.value) for name, p in points.items()}
        best, shares = front(values), dict(zip(points, front_shares(list(points.values())), strict=True))
        records = []
        for family, members in self._families().items():
            best_of_family = front({name: values[name] for name in members})
            family_shares = front_shares([points[name] for name in members])
            for name, share in zip(members, family_shares, strict=True):
                records.append(
                    OnFront(name, family, name in best, shares[name], name in best_of_family, share)
                )
        return records

    def _volumes(self, points: dict[str, Point]) -> list[Hypervolume]:
        """Of each family above the worst diversity and the worst quality of all decoders, and its ratio to
        that of the temperature curve."""
        known = [p for p in points.values() if math.isfinite(p.diversity.value + p.quality.value)]
        if not known:
            return []
        worst = (min(p.diversity.value for p in known), min(p.quality.value for p in known))
        volumes = {
            family: family_volume([points[name] for name in members], worst)
            for family, members in self._families().items()
            if family != "beam"
        }
        records = []
        for name, volume in volumes.items():
            record = Hypervolume(name, volume.value, *volume.interval(self.settings.confidence))
            if "temperature" in volumes:
                ratio = volume / volumes["temperature"]
                low, high = ratio.interval(self.settings.confidence)
                record = replace(record, ratio=ratio.value, ratio_lo=low, ratio_hi=high)
            records.append(record)
        return records

    def _best(self, weights: Weights) -> Best | None:
        """The decoder with the best matched difference from the temperature curve on one half of the
        examples, measured on the other half: the gain of a winner holds the luck that made it win.

        None where no decoder can be compared on both, or where the other half is a single example. Statistics
        of all examples are split, so the halves share what an example's influence owes to the others.
        weights: (B, examples // 2).
        """
        even, odd = self.order[::2], self.order[1::2]
        if len(odd) < 2:
            return None
        on_even = self._matched_to_temperature(even, np.ones((1, len(even))))
        on_odd = self._matched_to_temperature(odd, weights)
        both = [name for name in on_even if name in on_odd]  # which is a matter of their diversity alone
        if not both:
            return None
        name = max(both, key=lambda cell: on_even[cell].value)
        return Best(cell=name, **self._numbers(on_odd[name]))

    def _matched_to_temperature(self, examples: np.ndarray, weights: Weights) -> dict[str, Sampled]:
        """Decoder with routes → its matched difference, where it has one."""
        points = self.points(examples, weights)
        curve = self.curve("temperature", points)
        if len(curve) < 2:
            return {}
        differences = {cell.name: matched_difference(points[cell.name], curve) for cell in self.routed}
        return {name: difference for name, difference in differences.items() if difference is not None}
