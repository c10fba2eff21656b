"""The few numbers of a task that `dvc exp show` compares between experiments.

    human_<quality>      what people's texts have (only where they are not the reference)
    sampling_<quality>   plain sampling, no random routes
    <diversity>_r5       the first variant at r = 0.05, minus the same without routes
    <quality>_r5
    <quality>_vs_temp    routing minus temperature at equal diversity, median over all routing decoders

Names are short, because `dvc exp show` prints a column for each. r = 0.05 is read off the curve
between its neighbours, so the number keeps its meaning when the grid changes.
A number that the table cannot give is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from pipeline.report import choose
from pipeline.report.choose import FLUENCY
from pipeline.report.table import Row
from pipeline.settings import Base, Variant

RATE = 0.05
SHORT = {
    "perplexity": "ppl",
    "generator_perplexity": "gen_ppl",
    "reference_similarity": "sim",
    "distinct_2": "d2",
}


def summarize_task(task: str, rows: Sequence[Row], variants: dict[str, Variant]) -> dict[str, float]:
    """rows: those of the task. Values to 6 significant digits, none missing."""
    diversity = choose.pick(choose.DIVERSITY, rows)
    quality = choose.pick(choose.QUALITY[task], rows)
    found: dict[str, float] = {}
    if quality is not None:
        human = choose.human_in(rows)
        if human is not None and quality not in choose.AGAINST_REFERENCE:
            found[f"human_{short(quality)}"] = human.get(quality).value
        sampling = choose.plain(rows, variants, Base())
        if sampling is not None:
            found[f"sampling_{short(quality)}"] = sampling.get(quality).value
    for metric in filter(None, (diversity, quality)):
        found[f"{short(metric)}_r5"] = change_at(rows, variants, metric, RATE)
    if diversity is not None and quality is not None:
        found[f"{short(quality)}_vs_temp"] = against_temperature(rows, diversity, quality)
    return {name: float(f"{value:.6g}") for name, value in found.items() if math.isfinite(value)}


def short(metric: str) -> str:
    return SHORT.get(metric, metric)


def change_at(rows: Sequence[Row], variants: dict[str, Variant], metric: str, rate: float) -> float:
    """Metric of the first variant at r = rate minus at r = 0; NaN where its curve does not reach both."""
    routed = choose.variants_in(rows)
    if not routed:
        return math.nan
    first = next(iter(routed))
    line = choose.lines(routed[first], variants[first])[0]
    points = {row.r: row.get(metric).value for row in line.rows}
    curve = interpolator(list(points), list(points.values()), metric)
    return curve(rate) - curve(0.0)


def against_temperature(rows: Sequence[Row], diversity: str, quality: str) -> float:
    """Median over routing decoders of quality minus the temperature curve's at the same diversity.

    Decoders outside the curve's diversity are left out, since the curve says nothing there.
    """
    curve_rows = choose.baselines_in(rows).get("temperature", [])
    at = [row.get(diversity).value for row in curve_rows]
    curve = interpolator(at, [row.get(quality).value for row in curve_rows], quality)
    routed = [row for row in rows if row.family == "routing" and row.r > 0]
    gaps = [
        row.get(quality).value - curve(row.get(diversity).value)
        for members in choose.variants_in(routed).values()
        for row in choose.distinct(members)
    ]
    known = [gap for gap in gaps if math.isfinite(gap)]
    return float(np.median(known)) if known else math.nan


def interpolator(x: Sequence[float], y: Sequence[float], metric: str) -> Callable[[float], float]:
    """Straight lines between the points (in the logarithm for perplexity); NaN outside them."""
    pairs = sorted((a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b))
    log = metric in FLUENCY
    xs = [a for a, _ in pairs]
    ys = [math.log(b) if log else b for _, b in pairs]

    def curve(at: float) -> float:
        if not xs or not xs[0] <= at <= xs[-1]:  # NaN fails this too
            return math.nan
        value = float(np.interp(at, xs, ys))
        return math.exp(value) if log else value

    return curve
