"""The few numbers of a run that `dvc exp show` compares between experiments: number → task → value.

    gain, lo, hi       quality over the temperature curve's at equal diversity (more is better): of the decoders that
                       did best on one half of the examples, measured on the other half; and its interval
    sampling           quality of plain sampling, no random routes, by the metric's short name
    tuned, held_out    reward of tuning's best routing decoder on the examples that chose it, and on the others

`dvc exp show` prints a column for each, in this order: names are short, and what is compared first comes first. A
number that is missing is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from random_routing.metrics import METRICS
from random_routing.report import selection
from random_routing.report.input import Results
from random_routing.settings import Base, Variant

NUMBERS = ("gain", "lo", "hi", "sampling", "tuned", "held_out")


def summary(results: Mapping[str, Results], variants: dict[str, Variant]) -> dict[str, dict[str, Any]]:
    """Values to 6 significant digits."""
    found: dict[str, dict[str, Any]] = {name: {} for name in NUMBERS}
    for task, of_task in results.items():
        for name, value in _numbers(of_task).items():
            if math.isfinite(value):
                found[name][task] = _rounded(value)
        cells, quality = of_task.measured.cells, METRICS[of_task.measured.comparison.quality]
        sampling = selection.plain(cells, variants, Base())
        if sampling is not None and math.isfinite(value := sampling.get(quality.name).value):
            found["sampling"][task] = {quality.short or quality.name: _rounded(value)}
    return {name: values for name, values in found.items() if values}


def _numbers(results: Results) -> dict[str, float]:
    numbers: dict[str, float] = {}
    if best := results.measured.comparison.best:
        numbers |= {"gain": best.difference, "lo": best.lo, "hi": best.hi}
    if results.tuned:
        winner = results.tuned.families["routing"].winner
        numbers |= {"tuned": winner.tune.reward, "held_out": winner.test.reward}
    return numbers


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
