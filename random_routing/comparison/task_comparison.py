"""The comparison of a task: hypotheses, matched differences, differences from the base decoder, fronts, the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from random_routing.comparison import CURVES
from random_routing.comparison.corrected_p_values import adjusted
from random_routing.comparison.fronts import front, front_shares
from random_routing.comparison.hypotheses import Hypotheses, mean_sampled
from random_routing.comparison.planes import Decoders, Plane
from random_routing.law.cells import Cell, all_cells
from random_routing.metrics.metric import Metric, lack, quality_of, ratio
from random_routing.resampling.intervals import Sampled, resampled_all
from random_routing.resampling.weights import Weights
from random_routing.results.compared import AgainstBase, Best, Compared, Matched, OnFront
from random_routing.settings import Settings, Task

CONTROLS = "controls"  # among the statistics of a decoder
Tested = TypeVar("Tested", Matched, AgainstBase)


class Comparison:
    """All decoders of a task on the plane of one diversity and one quality.

    ids: of the examples; halves and resamples follow them, not the order of the file. cells: of distinct decoders,
    whose names are the decoders'. stats: decoder → metric → (E, k), statistics per example; `CONTROLS` → (E, c), sums
    whose means are 0, if they are known.
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
        self.settings, self.task, self.cells, self.stats = settings, task, list(cells), stats
        self.metrics = {
            name: metrics[name] for name in settings.metrics if task.kind in metrics[name].kinds
        }
        self.diversity = metrics[settings.comparison.diversity[task.name]]
        qualities = [metrics[name] for name in settings.comparison.quality[task.name]]
        self.quality = quality_of(qualities, len(ids), task.samples)
        self.missing = lack((self.diversity, self.quality), len(ids), task.samples)
        self.order = np.argsort(np.array(ids))

    def result(self, weights: Weights, half_weights: Sequence[Weights]) -> Compared:
        """weights: (B, E) resamples of all examples; half_weights: of every second one in the order of their ids,
        beginning with the first, (B, ⌈E/2⌉), and with the second, (B, ⌊E/2⌋).
        """
        plane = self.plane(np.arange(weights.shape[1]), weights)
        hypotheses = self.hypotheses(plane.decoders)
        return Compared(
            diversity=self.diversity.name,
            quality=self.quality.name,
            correction=self.settings.comparison.correction,
            contrasts=hypotheses.results(plane),
            axes=hypotheses.on_other_axes(self.diversity, self.quality),
            matched=self._matched(plane),
            against_base=self._against_base(plane),
            front=self._front(plane),
            best=self._best(half_weights),
        )

    def plane(self, examples: np.ndarray, weights: Weights) -> Plane:
        """Of some examples, (N,) indices; weights: (B, N) resamples of them."""
        decoders = Decoders(self.cells, self.stats, self.metrics, examples, weights)
        return Plane(decoders, self.diversity, self.quality, self.missing)

    def hypotheses(self, decoders: Decoders) -> Hypotheses:
        comparison, size = self.settings.comparison, len(self.order)
        columns = {
            name: [np.stack([column, np.ones(size)], axis=1) for column in self.stats[name][CONTROLS].T]
            for name in (cell.name for cell in self.cells)
            if CONTROLS in self.stats[name]
        }
        means = iter(
            resampled_all(decoders.weights, [(c, ratio) for of_cell in columns.values() for c in of_cell])
        )
        return Hypotheses(
            comparison=comparison,
            task=self.task.name,
            confidence=self.settings.confidence,
            tests=comparison.hypotheses(self.settings.tasks),
            decoders=decoders,
            cells=all_cells(self.settings, self.task),
            controls={name: [next(means) for _ in of_cell] for name, of_cell in columns.items()},
            samples=self.task.samples,
        )

    def _numbers(self, difference: Sampled) -> dict[str, float]:
        low, high = difference.t_interval(self.settings.confidence)
        return {"difference": difference.value, "lo": low, "hi": high, "p": difference.p_value()}

    def _corrected(self, records: list[Tested]) -> list[Tested]:
        p_values = adjusted([record.p for record in records], self.settings.comparison.correction)
        return [replace(record, p_adjusted=p) for record, p in zip(records, p_values, strict=True)]

    def _matched(self, plane: Plane) -> list[Matched]:
        """Every decoder with routes against each curve at its own diversity; corrected over each curve."""
        records = []
        for family in CURVES:
            of_curve = [
                Matched(
                    cell=name, curve=family, missing=found.missing, **self._numbers(found.value) if found.value else {}
                )
                for name, found in plane.differences(family).items()
            ]  # fmt: skip
            records += self._corrected(of_curve)
        return records

    def _against_base(self, plane: Plane) -> list[AgainstBase]:
        """Every decoder with routes against the same without; corrected over both coordinates together."""
        records = []
        for cell in plane.decoders.routed:
            base, point = plane.unrouted.get(cell.decoder.base), plane.points[cell.name]
            if base is None:
                continue
            differences = (point.diversity - base.diversity, point.quality - base.quality)
            for metric, difference in zip((self.diversity, self.quality), differences, strict=True):
                if math.isfinite(difference.value):
                    records.append(
                        AgainstBase(cell=cell.name, metric=metric.name, **self._numbers(difference))
                    )
        return self._corrected(records)

    def _front(self, plane: Plane) -> list[OnFront]:
        """Who is on the front of all decoders and on that of its family, and in which share of resamples."""
        points = plane.points
        values = {name: (p.diversity.value, p.quality.value) for name, p in points.items()}
        best, shares = front(values), dict(zip(points, front_shares(list(points.values())), strict=True))
        records = []
        for family, members in families(plane.decoders).items():
            best_of_family = front({name: values[name] for name in members})
            family_shares = front_shares([points[name] for name in members])
            for name, share in zip(members, family_shares, strict=True):
                records.append(
                    OnFront(name, family, name in best, shares[name], name in best_of_family, share)
                )
        return records

    def _best(self, half_weights: Sequence[Weights]) -> Best | None:
        """The decoder with the best matched difference from the temperature curve on one half of the examples,
        measured on the other half, and the other way round; the mean of the two. The gain of a winner holds the luck
        that made it win, which the other half does not know (Chernozhukov et al. 2018).

        None where no decoder can be compared on both, or where a half is a single example. Statistics of all examples
        are split, so the halves share what an example's influence owes to the others.
        """
        halves = self.order[::2], self.order[1::2]
        if len(halves[1]) < 2:
            return None
        found = [self._at_equal_diversity(half, w) for half, w in zip(halves, half_weights, strict=True)]
        both = [name for name in found[0] if name in found[1]]  # which is a matter of their diversity alone
        if not both:
            return None
        winners = [max(both, key=lambda cell: values[cell].value) for values in found]
        # The halves are drawn apart: the variance of the mean is that of its two independent parts.
        on_others = [found[1][winners[0]], found[0][winners[1]]]
        return Best(cells=tuple(winners), **self._numbers(mean_sampled(on_others[::-1])))

    def _at_equal_diversity(self, examples: np.ndarray, weights: Weights) -> dict[str, Sampled]:
        """Decoder with routes → its difference from the temperature curve, where it has one."""
        differences = self.plane(examples, weights).differences("temperature")
        return {name: one.value for name, one in differences.items() if one.value is not None}


def families(decoders: Decoders) -> dict[str, list[str]]:
    """Family → its decoders; all with routes are one family, bases of variants by themselves another."""
    found: dict[str, list[str]] = {}
    for cell in decoders.cells:
        unrouted = "base" if cell.family == "routing" else cell.family
        found.setdefault("routing" if cell in decoders.routed else unrouted, []).append(cell.name)
    return found
