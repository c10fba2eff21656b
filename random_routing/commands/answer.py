"""After a run: what became of the hypotheses, and where to read more."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from random_routing.comparison import CURVES
from random_routing.errors import PipelineError
from random_routing.report.names import difference

CONTRASTS, PAGE = Path("reports/contrasts.csv"), Path("reports/index.html")


def say_answer() -> None:
    if not CONTRASTS.exists():
        raise PipelineError(f"{CONTRASTS}: is missing; make a run first (dvc repro)")
    rows = pd.read_csv(CONTRASTS, keep_default_na=False)
    print("Does random routing help? Difference of quality, more is better:")
    width, wide = (max(map(len, rows[column]), default=0) for column in ("contrast", "task"))
    for row in rows.itertuples(index=False):
        if row.missing:
            print(f"  {row.task:<{wide}} {row.contrast:<{width}}  missing       {row.missing}")
            continue
        found = difference(*(float(value) for value in (row.estimate, row.lo, row.hi)))
        rival = "its base" if row.against == "base" else f"{CURVES[row.against]} at equal diversity"
        settle = f"; {int(row.needed):,} prompts would settle it" if row.verdict == "inconclusive" else ""
        settle = f"; its texts have {row.veto}" if row.veto else settle
        about = f"{row.task:<{wide}} {row.contrast:<{width}}  {row.verdict:<12}"
        print(f"  {about}  {found} against {rival}, n = {row.prompts}{settle}")
    print(f"Read more: {PAGE.resolve().as_uri()}" if PAGE.exists() else "Read more: reports/findings.md")
