"""The comparison of a task: matched differences, differences from the unrouted decoder, fronts, the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from random_routing.comparison import CURVES
from random_routing.comparison.matched import (
    Point,
    adjusted,
    family_volume,
    front,
    front_shares,
    matched_difference,
)
from random_routing.law.cells import Cell, Decoder
from random_routing.metrics.base import Metric, first_with_enough
from random_routing.resampling.intervals import Sampled, missing, sampled
from random_routing.resampling.weights import Weights, resampled_sums
from random_routing.settings import Base, Settings, Task

OUTSIDE = "its diversity lies outside the curve"
NO_CURVE = "there is no such curve"


class Comparison:
    """All decoders of a task as points. stats: decoder → metric → (E, k) statistics an example.

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
        asked = [metrics[name] for name in settings.comparison.quality[task.name]]
        self.quality = first_with_enough(asked, len(ids), task.samples) or asked[0]
        few = {m.name: m.missing(len(ids), task.samples) for m in (self.diversity, self.quality)}
        self.missing = "; ".join(f"{name} {why}" for name, why in few.items() if why)
        self.order = np.argsort(np.array(ids))
        self.routed = [c for c in cells if c.decoder.q or c.decoder.lam]

    def points(self, examples: np.ndarray, weights: Weights) -> dict[str, Point]:
        """Decoder → point over some examples, (N,) indices, both coordinates turned so that more is better.

        weights: (B, N) resamples of them.
        """

        def coordinate(metric: Metric) -> dict[str, Sampled]:
            """Of every decoder that has not too few texts for it."""
            known = [cell.name for cell in self.cells if metric.name in self.stats[cell.name]]
            own = {name: self.stats[name][metric.name][examples] for name in known}
            return {
                name: metric.up(sampled(own[name], sums, metric.aggregate))
                for name, sums in zip(own, resampled_sums(weights, list(own.values())), strict=True)
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
        own = [c.name for c in self.cells if c.family == family and c.name not in plain]
        return [points[name] for name in (*own, *plain[:1])]

    def result(self, weights: Weights, half_weights: Weights) -> dict[str, Any]:
        """What `data/metrics/<task>.json` holds under `comparison`.

        weights: (B, E) resamples of all examples; half_weights: (B, E // 2) of every second one, in the
        order of their ids.
        """
        points = self.points(np.arange(weights.shape[1]), weights)
        return {
            "diversity": self.diversity.name,
            "quality": self.quality.name,
            "correction": self.settings.comparison.correction,
            "matched": self._matched(points),
            "against_base": self._against_base(points),
            "front": self._front(points),
            "hypervolume": self._volumes(points),
            "best": self._best(half_weights),
        }

    def _record(self, difference: Sampled) -> dict[str, Any]:
        low, high = difference.interval(self.settings.confidence)
        return {"difference": difference.value, "lo": low, "hi": high, "p": difference.p_value()}

    def _corrected(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        method = self.settings.comparison.correction
        values = adjusted([record.get("p", math.nan) for record in records], method)
        return [
            record if math.isnan(p) else {**record, "p_adjusted": p}
            for record, p in zip(records, values, strict=True)
        ]

    def _matched(self, points: dict[str, Point]) -> list[dict[str, Any]]:
        """Every decoder with routes against each curve at its own diversity; corrected over each curve."""
        found = []
        for family in CURVES:
            curve = self.curve(family, points)
            records: list[dict[str, Any]] = []
            for cell in self.routed:
                about = {"cell": cell.name, "curve": family}
                difference = matched_difference(points[cell.name], curve) if len(curve) > 1 else None
                why = self.missing or (OUTSIDE if len(curve) > 1 else NO_CURVE)
                records.append(about | (self._record(difference) if difference else {"missing": why}))
            found += self._corrected(records)
        return found

    def _against_base(self, points: dict[str, Point]) -> list[dict[str, Any]]:
        """Every decoder with routes against the same without; corrected over both coordinates together."""
        plain = {
            cell.decoder.base: points[cell.name]
            for cell in self.cells
            if not (cell.decoder.q or cell.decoder.lam or cell.decoder.beams)
        }
        records = []
        for cell in self.routed:
            base = plain.get(cell.decoder.base)
            if base is None:
                continue
            own = points[cell.name]
            for metric, difference in (
                (self.diversity, own.diversity - base.diversity),
                (self.quality, own.quality - base.quality),
            ):
                if math.isfinite(difference.value):
                    records.append({"cell": cell.name, "metric": metric.name, **self._record(difference)})
        return self._corrected(records)

    def _families(self) -> dict[str, list[str]]:
        """Family → its decoders; all with routes are one family, bases of variants by themselves another."""
        families: dict[str, list[str]] = {}
        for cell in self.cells:
            unrouted = "base" if cell.family == "routing" else cell.family
            families.setdefault("routing" if cell in self.routed else unrouted, []).append(cell.name)
        return families

    def _front(self, points: dict[str, Point]) -> list[dict[str, Any]]:
        """Who is on the front of all decoders and on that of its family, and in which share of resamples."""
        values = {name: (p.diversity.value, p.quality.value) for name, p in points.items()}
        best, shares = front(values), dict(zip(points, front_shares(list(points.values())), strict=True))
        records = []
        for family, members in self._families().items():
            own = front({name: values[name] for name in members})
            of_own = front_shares([points[name] for name in members])
            for name, share in zip(members, of_own, strict=True):
                records.append({
                    "cell": name, "family": family, "on_front": name in best, "share": shares[name],
                    "on_family_front": name in own, "family_share": share,
                })  # fmt: skip
        return records

    def _volumes(self, points: dict[str, Point]) -> list[dict[str, Any]]:
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
            low, high = volume.interval(self.settings.confidence)
            record = {"family": name, "value": volume.value, "lo": low, "hi": high}
            if "temperature" in volumes:
                ratio = volume / volumes["temperature"]
                low, high = ratio.interval(self.settings.confidence)
                record |= {"ratio": ratio.value, "ratio_lo": low, "ratio_hi": high}
            records.append(record)
        return records

    def _best(self, weights: Weights) -> dict[str, Any] | None:
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
        return {"cell": name, **self._record(on_odd[name])}

    def _matched_to_temperature(self, examples: np.ndarray, weights: Weights) -> dict[str, Sampled]:
        """Decoder with routes → its matched difference, where it has one."""
        points = self.points(examples, weights)
        curve = self.curve("temperature", points)
        if len(curve) < 2:
            return {}
        found = {cell.name: matched_difference(points[cell.name], curve) for cell in self.routed}
        return {name: difference for name, difference in found.items() if difference is not None}
