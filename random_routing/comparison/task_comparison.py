"""The comparison of a task: matched differences, differences from the unrouted decoder, fronts, the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TypeVar

import numpy as np

from random_routing.comparison import CURVES
from random_routing.comparison.contrasts import NO_CELL, chosen
from random_routing.comparison.corrected_p_values import adjusted
from random_routing.comparison.curves import Curve, MatchedDifference, Point, matched_difference
from random_routing.comparison.fronts import front, front_shares
from random_routing.comparison.verdicts import judge
from random_routing.law.cells import Cell, Decoder, all_cells
from random_routing.metrics.metric import Metric, first_with_enough
from random_routing.resampling.intervals import Sampled, missing, sampled
from random_routing.resampling.weights import Weights, resampled_sums
from random_routing.results.compared import (
    AgainstBase,
    Best,
    Compared,
    ContrastResult,
    Matched,
    OnFront,
)  # fmt: skip
from random_routing.settings import Base, Settings, Task

Tested = TypeVar("Tested", Matched, AgainstBase)
NO_ERROR = "too few examples, or resamples with a value, for a standard error"


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
        self.settings, self.task, self.cells, self.stats = settings, task, list(cells), stats
        self.name_of = {cell.decoder: cell.name for cell in cells}
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

        def coordinate(metric: Metric, aggregate: Callable[[np.ndarray], np.ndarray]) -> dict[str, Sampled]:
            """Of every decoder that has not too few texts for it."""
            known = [cell.name for cell in self.cells if metric.name in self.stats[cell.name]]
            stats = {name: self.stats[name][metric.name][examples] for name in known}
            return {
                name: sampled(stats[name], sums, aggregate)
                for name, sums in zip(stats, resampled_sums(weights, list(stats.values())), strict=True)
            }

        diversity = coordinate(self.diversity, self.diversity.aggregate)
        quality = coordinate(self.quality, self.quality.aggregate)
        signed = coordinate(self.quality, self.quality.signed) if self.quality.signed else {}
        nothing = missing(len(examples), len(weights))
        return {
            cell.name: Point(
                self.diversity.up(diversity.get(cell.name, nothing)),
                self.quality.up(quality.get(cell.name, nothing)),
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

    def result(self, weights: Weights, half_weights: Weights) -> Compared:
        """weights: (B, E) resamples of all examples; half_weights: (B, E // 2) of every second one, in the
        order of their ids.
        """
        points = self.points(np.arange(weights.shape[1]), weights)
        differences = self._differences(points)
        return Compared(
            diversity=self.diversity.name,
            quality=self.quality.name,
            correction=self.settings.comparison.correction,
            contrasts=self._contrasts(points, differences),
            matched=self._matched(differences),
            against_base=self._against_base(points),
            front=self._front(points),
            best=self._best(half_weights),
        )

    def _numbers(self, difference: Sampled) -> dict[str, float]:
        low, high = difference.t_interval(self.settings.confidence)
        return {"difference": difference.value, "lo": low, "hi": high, "p": difference.p_value()}

    def _corrected(self, records: list[Tested]) -> list[Tested]:
        p_values = adjusted([record.p for record in records], self.settings.comparison.correction)
        return [replace(record, p_adjusted=p) for record, p in zip(records, p_values, strict=True)]

    def _differences(self, points: dict[str, Point]) -> dict[str, dict[str, MatchedDifference]]:
        """Curve → decoder with routes → its difference, or why there is none: missing metrics come first."""
        found: dict[str, dict[str, MatchedDifference]] = {}
        for family in CURVES:
            curve = self.curve(family, points)
            of_cells = {cell.name: matched_difference(points[cell.name], curve) for cell in self.routed}
            found[family] = {
                name: replace(one, missing=self.missing) if self.missing and not one.value else one
                for name, one in of_cells.items()
            }
        return found

    def _matched(self, differences: dict[str, dict[str, MatchedDifference]]) -> list[Matched]:
        """Every decoder with routes against each curve at its own diversity; corrected over each curve."""
        records = []
        for family, of_cells in differences.items():
            of_curve = [
                Matched(
                    cell=name, curve=family, missing=found.missing, **self._numbers(found.value) if found.value else {}
                )
                for name, found in of_cells.items()
            ]  # fmt: skip
            records += self._corrected(of_curve)
        return records

    def _contrasts(
        self, points: dict[str, Point], differences: dict[str, dict[str, MatchedDifference]]
    ) -> list[ContrastResult]:
        """Every hypothesis that was named for the task: the mean over its cells, judged among all hypotheses."""
        comparison, task = self.settings.comparison, self.task.name
        tests = comparison.hypotheses(self.settings.tasks)
        records = []
        for name, contrast in comparison.contrasts.items():
            if contrast.tasks and task not in contrast.tasks:
                continue
            cells = [
                c
                for c in chosen(contrast, all_cells(self.settings, self.task))
                if c.decoder in self.name_of
            ]
            against = differences.get(contrast.against) or self._from_base(points)
            found = [against[self.name_of[cell.decoder]] for cell in cells]
            known = [difference.value for difference in found if difference.value is not None]
            record = ContrastResult(
                contrast=name, variant=contrast.variant, against=contrast.against, delta=comparison.delta[task],
                of=len(cells), cells=len(known), prompts=len(self.order), texts=len(self.order) * self.task.samples,
                missing="" if known else "; ".join(sorted({d.missing for d in found})) or NO_CELL,
            )  # fmt: skip
            mean = mean_of(known) if known else None
            error = mean.standard_error() if mean else math.nan
            if mean and math.isfinite(error):
                judged = judge(
                    mean.value, error, mean.examples, record.delta, tests, self.settings.confidence
                )
                record = replace(record, estimate=mean.value, **asdict(judged))
            elif known:
                record = replace(record, missing=NO_ERROR)
            records.append(record)
        return records

    def _from_base(self, points: dict[str, Point]) -> dict[str, MatchedDifference]:
        """Decoder with routes → its quality minus that of the same without."""
        plain, found = self._unrouted(points), {}
        for cell in self.routed:
            base = plain.get(cell.decoder.base)
            difference = points[cell.name].quality - base.quality if base else None
            if difference is None:
                found[cell.name] = MatchedDifference(
                    None, missing="no cell has its base decoder without routes"
                )
            elif math.isfinite(difference.value):
                found[cell.name] = MatchedDifference(difference)
            else:
                found[cell.name] = MatchedDifference(
                    None, missing=self.missing or "undefined for these texts"
                )
        return found

    def _against_base(self, points: dict[str, Point]) -> list[AgainstBase]:
        """Every decoder with routes against the same without; corrected over both coordinates together."""
        plain = self._unrouted(points)
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

    def _unrouted(self, points: dict[str, Point]) -> dict[Base, Point]:
        """By base decoder."""
        return {
            cell.decoder.base: points[cell.name]
            for cell in self.cells
            if not (cell.decoder.q or cell.decoder.lam or cell.decoder.beams)
        }

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
        differences = {
            cell.name: matched_difference(points[cell.name], curve).value for cell in self.routed
        }
        return {name: difference for name, difference in differences.items() if difference is not None}


def mean_of(differences: Sequence[Sampled]) -> Sampled:
    """The mean of numbers that share their resamples; a resample in which one is undefined is left out."""
    value = float(np.mean([difference.value for difference in differences]))
    return Sampled(value, np.mean([d.resamples for d in differences], axis=0), differences[0].examples)
