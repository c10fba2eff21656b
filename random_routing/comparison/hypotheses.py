"""What became of the hypotheses: the mean difference of each one's cells, its verdict, and the same on other axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from random_routing.comparison.contrasts import NO_CELL, chosen
from random_routing.comparison.control_variates import controlled
from random_routing.comparison.planes import Decoders, Differences, Plane
from random_routing.comparison.verdicts import Verdict, judge
from random_routing.law.cells import Cell, Decoder
from random_routing.metrics.metric import Metric
from random_routing.resampling.intervals import Sampled
from random_routing.results.compared import ContrastResult, OnOtherAxes
from random_routing.settings import Base, Comparison, Contrast

NO_ERROR = "too few examples, or resamples with a value, for a standard error"
FAVOURABLE = (Verdict.BETTER, Verdict.EQUIVALENT)


@dataclass(frozen=True)
class Hypotheses:
    """Those of a task, and what they are judged by.

    cells: all of the task. tests: hypotheses over all tasks of the run. controls: decoder → `Sampled` numbers whose
    means are 0.
    """

    comparison: Comparison
    task: str
    confidence: float
    tests: int
    decoders: Decoders
    cells: Sequence[Cell]
    controls: Mapping[str, Sequence[Sampled]]
    samples: int

    def results(self, plane: Plane) -> list[ContrastResult]:
        """Every hypothesis that was named for the task, judged among all hypotheses."""
        return [self._result(*named, plane) for named in self._named()]

    def _named(self) -> list[tuple[str, Contrast]]:
        return [
            (name, contrast)
            for name, contrast in self.comparison.contrasts.items()
            if not contrast.tasks or self.task in contrast.tasks
        ]

    def _result(self, name: str, contrast: Contrast, plane: Plane) -> ContrastResult:
        members, prompts = self._members(contrast), len(self.decoders.examples)
        differences = plane.differences(contrast.against)
        found = {member: differences[member] for member in members}
        known = [member for member, one in found.items() if one.value is not None]
        record = ContrastResult(
            contrast=name, variant=contrast.variant, against=contrast.against, delta=self.comparison.delta[self.task],
            of=len(members), cells=len(known), prompts=prompts, texts=prompts * self.samples,
            missing="" if known else "; ".join(sorted({d.missing for d in found.values()})) or NO_CELL,
        )  # fmt: skip
        if not known:
            return record
        mean, kept = controlled(mean_of(differences, known), self._controls(known))
        error = mean.standard_error()
        if not math.isfinite(error):
            return replace(record, missing=NO_ERROR)
        judged = judge(mean.value, error, mean.examples, record.delta, self.tests, self.confidence)
        veto = self._veto(contrast, plane.diversity, known) if judged.verdict in FAVOURABLE else ""
        verdict = Verdict.INCONCLUSIVE if veto else judged.verdict
        return replace(
            record,
            estimate=mean.value,
            error=error,
            **asdict(replace(judged, verdict=verdict)),
            variance=kept,
            veto=veto,
        )

    def _members(self, contrast: Contrast) -> list[str]:
        """Names of the decoders of a contrast's cells."""
        name_of = {cell.decoder: cell.name for cell in self.decoders.cells}
        return [name_of[cell.decoder] for cell in chosen(contrast, self.cells) if cell.decoder in name_of]

    def _controls(self, members: Sequence[str]) -> list[Sampled]:
        """The members' mean controls, and those of plain sampling, which every curve and most bases go through."""
        plain = next((c.name for c in self.decoders.cells if c.decoder == Decoder(Base())), None)
        groups = [[name for name in members if name in self.controls]]
        groups += [[plain]] if plain and plain in self.controls else []
        return [
            mean_sampled([self.controls[name][number] for name in group])
            for group in groups
            if group
            for number in range(len(self.controls[group[0]]))
        ]

    def _veto(self, contrast: Contrast, diversity: Metric, members: Sequence[str]) -> str:
        """Which failures are more frequent in the members' texts than they may be, against the same rival."""
        found = []
        for metric, most in self.comparison.vetoes.items():
            failures = self.decoders.metrics.get(metric)
            if failures is None or not self.decoders.values(failures):
                continue
            differences = Plane(self.decoders, diversity, failures).differences(contrast.against)
            known = [name for name in members if differences[name].value is not None]
            if known and (more := -mean_of(differences, known).value) > most:
                found.append(f"{100 * more:.1f} percentage points more {metric}")
        return ", ".join(found)

    def on_other_axes(self, diversity: Metric, quality: Metric) -> list[OnOtherAxes]:
        """Every hypothesis on each other diversity with this quality, and on this diversity with each other quality."""
        planes = [(other, quality) for other in self._others("diversity") if other.name != diversity.name]
        planes += [(diversity, other) for other in self._others("quality") if other.name != quality.name]
        records = []
        for across, along in planes:
            plane = Plane(self.decoders, across, along)
            for name, contrast in self._named():
                if contrast.against == "base" and across != diversity:
                    continue  # a plain difference of quality knows no diversity
                differences = plane.differences(contrast.against)
                known = [m for m in self._members(contrast) if differences[m].value is not None]
                record = OnOtherAxes(
                    contrast=name, against=contrast.against, diversity=across.name, quality=along.name, cells=len(known)
                )  # fmt: skip
                if known:
                    mean, _ = controlled(mean_of(differences, known), self._controls(known))
                    low, high = mean.t_interval(1 - (1 - self.confidence) / self.tests)
                    record = replace(record, estimate=mean.value, lo=low, hi=high, p=mean.p_value())
                records.append(record)
        return records

    def _others(self, coordinate: str) -> list[Metric]:
        """Metrics that can be a coordinate, of which every decoder has a value."""
        return [
            metric
            for metric in self.decoders.metrics.values()
            if metric.coordinate == coordinate
            and all(metric.name in self.decoders.stats[cell.name] for cell in self.decoders.cells)
        ]


def mean_of(differences: Differences, members: Sequence[str]) -> Sampled:
    """The mean of the members' differences, which are known."""
    return mean_sampled([value for name in members if (value := differences[name].value) is not None])


def mean_sampled(values: Sequence[Sampled]) -> Sampled:
    """The mean of numbers that share their resamples; a resample in which one is undefined is left out."""
    value = float(np.mean([one.value for one in values]))
    return Sampled(value, np.mean([one.resamples for one in values], axis=0), values[0].examples)
