"""The few numbers of a task that `dvc exp show` compares between experiments.

    gain, gain_lo, gain_hi   quality over the temperature curve's at equal diversity (more is better): of the
                             decoder that did best on one half of the examples, measured on the other half
    area_vs_temp             hypervolume of routing / of temperature in the quality-diversity plane
    sampling_<quality>       quality of plain sampling, no random routes

Names are short, because `dvc exp show` prints a column for each. A number that is missing is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from random_routing.metrics import METRICS
from random_routing.report import choose
from random_routing.report.tables.cells import Row
from random_routing.settings import Base, Variant


def summarize_task(
    rows: Sequence[Row], compared: dict[str, Any], variants: dict[str, Variant]
) -> dict[str, float]:
    """rows: those of the task; compared: its `comparison`. Values to 6 significant digits, none missing."""
    best = compared["best"] or {}
    area: dict[str, Any] = next((v for v in compared["hypervolume"] if v["family"] == "routing"), {})
    found = {
        "gain": best.get("difference"),
        "gain_lo": best.get("lo"),
        "gain_hi": best.get("hi"),
        "area_vs_temp": area.get("ratio"),
    }
    sampling = choose.plain(rows, variants, Base())
    if sampling is not None:
        quality = METRICS[compared["quality"]]
        found[f"sampling_{quality.short or quality.name}"] = sampling.get(quality.name).value
    return {
        name: float(f"{value:.6g}")
        for name, value in found.items()
        if value is not None and math.isfinite(value)
    }
