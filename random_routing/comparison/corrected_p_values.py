"""p-values corrected for their number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def adjusted(p_values: Sequence[float], method: str) -> list[float]:
    """p-values corrected for their number; NaN stays NaN and does not count.

    method: `holm` (Holm 1979: chance of any false claim) or `fdr_bh` (Benjamini & Hochberg 1995: share
    of false claims).
    """
    # Here, because it takes longer to import than most stages to begin.
    from statsmodels.stats.multitest import multipletests

    corrected = np.array(p_values, dtype=np.float64)
    known = np.isfinite(corrected)
    if known.any():
        corrected[known] = multipletests(corrected[known], method=method)[1]
    return corrected.tolist()
