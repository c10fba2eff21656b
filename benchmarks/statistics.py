"""Does the comparison tell the truth? `python -m benchmarks.statistics [folder]` writes `reports/statistics.json`.

folder: a finished run (a workspace of `make study`, say), with `params.yaml` and `data/metrics/`. Its prompts are a
population whose truth is known: studies of a few prompts are drawn from it many times over and compared by the same
code as a run, with its metrics, curves, hypotheses and correlations.

Drawn without replacement, n of N prompts vary less than n of infinitely many, by √(1 − n/N): deviations from the truth
are made so much larger (Cochran 1977, 2.5). Then each hypothesis is moved to a known effect, and judged:

- at no difference: how often is any hypothesis of all tasks called better or worse (at most 5 %)?
- at a difference of Δ: how often is it called equivalent (at most 5 %)?
- at the difference that the power calculation calls detectable: how often is it found, with an interval that leaves
  out 0 (80 %)? (It is called equivalent all the same where it is known to be less than Δ.)
- coverage of 95 % intervals: of the default metrics, of differences from plain sampling, and of matched differences;
- the verdicts of the whole run with ten seeds of the bootstrap;
- each temperature against the curve of the others, on all prompts: it is on the curve, so that a difference is what the
  curve's shape between its points gives away. Its gap there is twice that of the comparison.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from random_routing.comparison.curves import Curve, matched_difference
from random_routing.comparison.task_comparison import Comparison
from random_routing.comparison.verdicts import Judged, Verdict, detectable, judge
from random_routing.files import write_json
from random_routing.law.cells import Cell, Decoder, all_cells
from random_routing.metrics import METRICS
from random_routing.resampling.weights import resample_weights
from random_routing.results.compared import ContrastResult
from random_routing.scoring.statistics_file import Statistics, read_stats
from random_routing.settings import Base, Settings, Task, load_settings

STUDIES, RESAMPLES, SEEDS = 4000, 1000, 10  # a rate of 95 % is then known to .35 points, one of 80 % to .6
NEVER = 1e-12  # a Δ within which no difference is shown to be


@dataclass(frozen=True)
class Population:
    """All prompts of a task's run, in the order of their ids."""

    settings: Settings
    task: Task
    ids: list[str]
    cells: list[Cell]
    stats: Statistics

    @cached_property
    def whole(self) -> Study:
        return self.study(np.arange(len(self.ids)), 0)

    @classmethod
    def of(cls, settings: Settings, name: str, folder: Path) -> Population:
        ids, stats = read_stats(folder / f"data/metrics/{name}.stats.parquet")
        task, order = settings.tasks[name], np.argsort(ids)
        cells = [cell for cell in all_cells(settings, task) if cell.name in stats]
        ordered = {
            decoder: {metric: values[order] for metric, values in of_decoder.items()}
            for decoder, of_decoder in stats.items()
        }
        return cls(settings, task, sorted(ids), cells, ordered)

    def study(self, chosen: np.ndarray, seed: int, resamples: int = RESAMPLES) -> Study:
        """The comparison of some prompts, (n,)."""
        stats = {
            decoder: {metric: values[chosen] for metric, values in of_decoder.items()}
            for decoder, of_decoder in self.stats.items()
        }
        ids = [self.ids[i] for i in chosen]
        compared = Comparison(self.settings, self.task, ids, self.cells, stats, METRICS)
        weights = resample_weights(len(chosen), resamples, seed)
        plane = compared.plane(np.arange(len(chosen)), weights)
        decoders, contrasts = plane.decoders, compared.hypotheses(plane.decoders).results(plane)
        plain = next(cell.name for cell in self.cells if cell.decoder == Decoder(Base()))
        routed = next(cell.name for cell in decoders.routed)
        values = {}
        for metric in (plane.diversity, plane.quality):
            sampled = decoders.values(metric)
            values[metric.name] = (sampled[plain].value, sampled[plain].standard_error())
            difference = sampled[routed] - sampled[plain]
            values[f"{metric.name}, difference"] = (difference.value, difference.standard_error())
        return Study({record.contrast: record for record in contrasts}, values)


@dataclass(frozen=True)
class Study:
    contrasts: dict[str, ContrastResult]
    values: dict[
        str, tuple[float, float]
    ]  # of plain sampling, and of the first decoder with routes: value, error


def main(folder: Path) -> None:
    settings = load_settings(folder / "params.yaml", METRICS)
    populations = [Population.of(settings, name, folder) for name in settings.tasks]
    size = len(populations[0].ids)
    result = {
        "prompts": size, "samples": populations[0].task.samples, "studies": STUDIES, "resamples": RESAMPLES,
        "hypotheses": settings.comparison.hypotheses(settings.tasks),
        "sizes": {str(n): simulate(populations, n) for n in sizes(size)},
        "seeds": [stability(population) for population in populations],
        "left_out": [record for population in populations for record in left_out(population)],
    }  # fmt: skip
    write_json("reports/statistics.json", result, indent=2)
    print(table(result))


def sizes(prompts: int) -> tuple[int, int]:
    """A quarter and three eighths of the prompts, at least 8 and 12."""
    return max(8, prompts // 4), max(12, prompts * 3 // 8)


def simulate(populations: Sequence[Population], size: int, studies: int = STUDIES) -> dict[str, Any]:
    """All studies of one size."""
    drawn: list[list[Study]] = []
    for population in populations:
        random = np.random.Generator(np.random.Philox(size))
        of_task = []
        for seed in tqdm(range(studies), desc=f"{population.task.name}, {size} prompts", mininterval=5):
            chosen = np.sort(random.choice(len(population.ids), size, replace=False))
            of_task.append(population.study(chosen, seed))
        drawn.append(of_task)
    hypotheses, claimed = {}, np.zeros(studies, dtype=bool)
    for population, of_task in zip(populations, drawn, strict=True):
        for name in of_task[0].contrasts:
            found, claims = of_hypothesis(population, name, of_task, size)
            hypotheses[f"{population.task.name}, {name}"] = found
            claimed |= claims
    values = {
        f"{population.task.name}, {name}": covered(
            [study.values[name] for study in of_task], population, size
        )
        for population, of_task in zip(populations, drawn, strict=True)
        for name in of_task[0].values
    }
    return {"any_false_claim": float(claimed.mean()), "hypotheses": hypotheses, "covered": values}


def widened(estimates: np.ndarray, population: Population, size: int) -> np.ndarray:
    """Deviations from the mean over all studies, as those of an infinite population."""
    return (estimates - np.nanmean(estimates)) / math.sqrt(1 - size / len(population.ids))


def of_hypothesis(
    population: Population, name: str, studies: Sequence[Study], size: int
) -> tuple[dict[str, float], np.ndarray]:
    """Rates of one hypothesis, and in which studies a difference is claimed where there is none."""
    settings, records = population.settings, [study.contrasts[name] for study in studies]
    tests, confidence = settings.comparison.hypotheses(settings.tasks), settings.confidence
    errors = np.array([record.error for record in records])
    away = widened(np.array([record.estimate for record in records]), population, size)
    effect = detectable(float(np.nanmedian(errors)), size, tests, confidence)
    known = np.isfinite(errors + away)

    def at(shift: float, delta: float, tests: int) -> list[Judged]:
        pairs = zip(away[known], errors[known], strict=True)
        return [judge(shift + off, error, size, delta, tests, confidence) for off, error in pairs]

    # Equivalence only where an error allows it: Δ of twice the detectable difference.
    equivalent = [one.verdict == Verdict.EQUIVALENT for one in at(2 * effect, 2 * effect, tests)]
    found = [one.lo > 0 for one in at(effect, NEVER, tests)]
    claims = np.zeros(len(records), dtype=bool)
    claims[known] = [not holds_none(one) for one in at(0, NEVER, tests)]
    whole = population.whole.contrasts[name].estimate
    return {
        "known": float(known.mean()),
        "bias": float((np.nanmean([record.estimate for record in records]) - whole) / np.nanmedian(errors)),
        "covered": float(np.mean([holds_none(one) for one in at(0, NEVER, 1)])),
        "false_equivalent": float(np.mean(equivalent)),
        "planted": effect,
        "found": float(np.mean(found)),
    }, claims


def holds_none(judged: Judged) -> bool:
    """Whether the interval holds a difference of 0."""
    return judged.lo <= 0 <= judged.hi


def covered(estimates: Sequence[tuple[float, float]], population: Population, size: int) -> float:
    """Share of the 95 % intervals that hold the truth."""
    values, errors = np.array(estimates).T
    pairs = zip(widened(values, population, size), errors, strict=True)
    confidence = population.settings.confidence
    return float(
        np.mean([holds_none(judge(off, error, size, NEVER, 1, confidence)) for off, error in pairs])
    )


def stability(population: Population) -> dict[str, Any]:
    """Verdicts of all prompts under seeds of the bootstrap."""
    every = np.arange(len(population.ids))
    runs = [population.study(every, seed, population.settings.resamples) for seed in range(1, SEEDS + 1)]
    words = {name: [run.contrasts[name].verdict or "missing" for run in runs] for name in runs[0].contrasts}
    return {"task": population.task.name, "verdicts": {n: sorted(set(w)) for n, w in words.items()}}


def left_out(population: Population) -> list[dict[str, Any]]:
    """The matched difference of every temperature but the first and the last from the curve of the others."""
    settings, task = population.settings, population.task.name
    examples = np.arange(len(population.ids))
    compared = Comparison(
        settings, population.task, population.ids, population.cells, population.stats, METRICS
    )
    curve = compared.plane(examples, resample_weights(len(examples), RESAMPLES, 0)).curve("temperature")
    points = dict(zip(curve.settings.tolist(), curve.points, strict=True))
    records = []
    for setting in sorted(points)[1:-1]:
        others = Curve.of({other: point for other, point in points.items() if other != setting})
        found = matched_difference(points[setting], others).value
        if found is not None:
            low, high = found.t_interval(settings.confidence)
            records.append(
                {"task": task, "temperature": setting, "difference": found.value, "lo": low, "hi": high}
                | {"delta": settings.comparison.delta[task]}
            )
    return records


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    prompts = f"{result['prompts']} prompts with {result['samples']} texts each"
    lines = [
        f"{result['studies']:,} studies of each size, of {prompts}.",
        "",
        "| prompts | task, hypothesis | covered | bias, in errors | equivalent at a true Δ | planted effect found |",
        "|---|---|---|---|---|---|",
    ]
    for size in sorted(result["sizes"], key=int):
        of_size = result["sizes"][size]
        for name, rates in of_size["hypotheses"].items():
            lines.append(
                f"| {size} | {name} | {rates['covered']:.1%} | {rates['bias']:+.2f} | "
                f"{rates['false_equivalent']:.1%} | {rates['found']:.1%} |"
            )
        lines.append(
            f"| {size} | *all {result['hypotheses']} at once* | {1 - of_size['any_false_claim']:.1%} | | | |"
        )
    lines += ["", "| prompts | value | covered |", "|---|---|---|"]
    for size in sorted(result["sizes"], key=int):
        lines += [
            f"| {size} | {name} | {rate:.1%} |" for name, rate in result["sizes"][size]["covered"].items()
        ]
    changed = [
        f"{of_task['task']}, {name} ({', '.join(words)})"
        for of_task in result["seeds"]
        for name, words in of_task["verdicts"].items()
        if len(words) > 1
    ]
    count = sum(len(of_task["verdicts"]) for of_task in result["seeds"])
    said = f"change: {'; '.join(changed)}" if changed else "are the same"
    lines += [
        "",
        f"Over {SEEDS} seeds of the bootstrap the verdicts of all {count} hypotheses on all prompts {said}.",
    ]
    lines += ["", "| task | T left out of the curve | from the others' curve | Δ |", "|---|---|---|---|"]
    lines += [
        f"| {one['task']} | {one['temperature']:g} | {one['difference']:+.3g} ({one['lo']:+.3g} to {one['hi']:+.3g}) | "
        f"{one['delta']:g} |"
        for one in result["left_out"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
