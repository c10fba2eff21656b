"""The metrics. To add one, write it as a `Metric` in a file and add the file, if it is new, to `MODULES`.

Everything else reads them here: settings what can be chosen, figures, findings and documents the names.
"""

from __future__ import annotations

from collections.abc import Iterable

from random_routing.metrics import (
    against_people,
    compression,
    episodes,
    failures,
    fluency,
    images,
    mauve,
    ngrams,
    per_text,
    relevance,
    selfbleu,
    translation,
    vendi,
    within_prompt,
    zipf,
)
from random_routing.metrics.metric import CellTexts, Metric

__all__ = ["METRICS", "CellTexts", "Metric", "metrics_of"]

MODULES = (
    ngrams,
    zipf,
    selfbleu,
    compression,
    vendi,
    within_prompt,
    mauve,
    against_people,
    fluency,
    relevance,
    translation,
    per_text,
    failures,
    episodes,
    images,
)
METRICS = {metric.name: metric for module in MODULES for metric in module.METRICS}


def metrics_of(kind: str, names: Iterable[str]) -> list[Metric]:
    """Those of `names` that a kind of task can have."""
    return [METRICS[name] for name in names if kind in METRICS[name].kinds]
