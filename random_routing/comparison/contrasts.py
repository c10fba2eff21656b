"""Which cells a hypothesis of `params.yaml` is about."""

from __future__ import annotations

from collections.abc import Sequence

from random_routing.law.cells import Cell
from random_routing.settings import Contrast

NO_CELL = "no cell of the grid has routes and rates in its ranges"


def chosen(contrast: Contrast, cells: Sequence[Cell]) -> list[Cell]:
    """Those of the variant with routes and with rates in the contrast's ranges, each law once."""
    found: dict[object, Cell] = {}
    for cell in cells:
        if cell.variant != contrast.variant or not (cell.decoder.q or cell.decoder.lam):
            continue
        rates = ((cell.q, contrast.q), (cell.lam, contrast.lam), (cell.r, contrast.r))
        if all(low <= rate <= high for rate, (low, high) in rates if rate is not None):
            found.setdefault(cell.decoder, cell)
    return list(found.values())
