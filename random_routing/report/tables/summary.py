"""The few numbers of a task that `dvc exp show` compares between experiments.

    gain, gain_lo, gain_hi   quality over the temperature curve's at equal diversity (more is better): of the
                             decoder that did best on one half of the examples, measured on the other half
    sampling_<quality>       quality of plain sampling, no random routes

Names are short, because `dvc exp show` prints a column for each. A number that is missing is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from random_routing.metrics import METRICS
from random_routing.report import selection
from random_routing.results.compared import Compared
from random_routing.results.measured import CellValues
from random_routing.settings import Base, Variant


def summarize_task(
    cells: Sequence[CellValues], compared: Compared, variants: dict[str, Variant]
) -> dict[str, float]:
    """Values to 6 significant digits, none missing."""
    numbers: dict[str, float] = {}
    if best := compared.best:
        numbers |= {"gain": best.difference, "gain_lo": best.lo, "gain_hi": best.hi}
    sampling = selection.plain(cells, variants, Base())
    if sampling is not None:
        quality = METRICS[compared.quality]
        numbers[f"sampling_{quality.short or quality.name}"] = sampling.get(quality.name).value
    return {name: float(f"{value:.6g}") for name, value in numbers.items() if math.isfinite(value)}
