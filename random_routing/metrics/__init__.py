"""The metrics. To add one, write its statistics and a line of `METRICS` in a module, and its tasks in settings."""

from __future__ import annotations

from random_routing.metrics import (
    compression,
    fluency,
    mauve,
    ngrams,
    relevance,
    samples,
    selfbleu,
    texts,
    translation,
    vendi,
    zipf,
)
from random_routing.metrics.base import CellTexts, Metric

__all__ = ["METRICS", "CellTexts", "Metric"]

MODULES = (
    ngrams,
    zipf,
    selfbleu,
    compression,
    vendi,
    samples,
    fluency,
    mauve,
    relevance,
    translation,
    texts,
)
METRICS = {metric.name: metric for module in MODULES for metric in module.METRICS}
