"""From metric inputs to the contents of `data/metrics/<task>.json` and the statistics behind them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from random_routing.law.cells import Cell, representatives
from random_routing.metrics.base import CellTexts, Metric
from random_routing.metrics.languages import language_of
from random_routing.metrics.translation import signatures
from random_routing.resampling.intervals import by_example, sampled
from random_routing.resampling.weights import Weights, resampled_sums, weights_of
from random_routing.scoring.statistics_file import Statistics
from random_routing.settings import Settings, Task
from random_routing.tasks import TASKS


def task_resamples(
    settings: Settings, task: Task, ids: Sequence[str], purpose: str = "bootstrap"
) -> Weights:
    """The bootstrap's weights of a task, (B, E), the same for all that is measured of it.

    An example's weights follow the rank of its id, so that the order of the file does not matter.
    """
    digest = hashlib.sha256(json.dumps([settings.seed, purpose, task.name]).encode()).digest()
    weights = weights_of(len(ids), settings.resamples, int.from_bytes(digest[:8], "little"))
    return weights[:, np.argsort(np.argsort(np.array(ids)))]


def measure(
    settings: Settings,
    task: Task,
    ids: Sequence[str],
    cells: list[Cell],
    texts: Mapping[str, CellTexts],
    metrics: list[Metric],
    weights: Weights,
    on_cell: Callable[[], None] = lambda: None,
    opening: str = "",
    pooling: str = "",
) -> tuple[dict[str, Any], Statistics]:
    """Values and intervals of every cell and of the human texts, and the statistics behind them.

    texts: each taken once and dropped after its statistics, so that a mapping may make them when they are asked
    for. weights: `task_resamples`; all cells share them, so that differences between them are paired. opening: the
    judge's, by name; pooling: `Embedding.signature`.
    """
    first = {} if settings.coupling == "independent" else representatives(cells)
    done: dict[str, dict[str, Any]] = {}  # cells of one decoder hold the same texts
    stats: Statistics = {}
    records = []

    def values(decoder: str, samples: int) -> dict[str, Any]:
        own = texts[decoder]
        why = {m.name: _missing(m, own.examples, samples, task.samples) for m in metrics}
        made = [m for m in metrics if why[m.name] is None]
        stats[decoder] = {m.name: by_example(m.stats(own), own.example, own.examples) for m in made}
        sums = resampled_sums(weights, list(stats[decoder].values()))
        found = {
            m.name: _measured(m, own, stats[decoder][m.name], of_metric, settings.confidence)
            for m, of_metric in zip(made, sums, strict=True)
        }
        nothing = {"value": None, "lo": None, "hi": None}
        return {m.name: found.get(m.name) or {**nothing, "missing": why[m.name]} for m in metrics}

    for cell in cells:
        decoder = first.get(cell.decoder, cell.name)
        if decoder not in done:
            done[decoder] = values(decoder, task.samples)
        records.append(_record(cell, decoder, task, done[decoder], len(ids)))
        on_cell()
    records.append({**dict.fromkeys(EMPTY), **_counts(len(ids), 1), **HUMAN, "metrics": values("human", 1)})
    fixed = {
        "judge": task.judge, "opening": opening, "given": TASKS[task.name].judged, "model": task.model,
        "embedder": settings.embedder, "pooling": pooling, "dtype": settings.dtype, **signatures(language_of(task)),
    }  # fmt: skip
    result = {
        "task": task.name,
        "examples": list(ids),
        "metrics": {
            m.name: {
                "label": m.label,
                "unit": m.unit,
                "better": m.better,
                "needs": m.needs,
                "source": m.source,
                "signature": m.signature.format(**fixed),
            }
            for m in metrics
        },
        "cells": records,
    }
    return result, stats


EMPTY = ("q", "lambda", "r", "setting")
HUMAN = {"cell": "human", "family": "human", "variant": "", "decoder": "human"}


def _counts(examples: int, samples: int) -> dict[str, int]:
    return {"examples": examples, "samples": samples}


def _record(cell: Cell, decoder: str, task: Task, values: dict[str, Any], examples: int) -> dict[str, Any]:
    return {
        "cell": cell.name,
        "family": cell.family,
        "variant": cell.variant,
        "q": cell.q,
        "lambda": cell.lam,
        "r": cell.r,
        "setting": cell.setting,
        "decoder": decoder,
        **_counts(examples, task.samples),
        "metrics": values,
    }


def _missing(metric: Metric, examples: int, samples: int, others: int) -> str | None:
    """Why a metric is missing. samples: texts an example; others: of the cells that it stands beside."""
    if metric.over_all and samples != others:
        return f"depends on the number of texts: {samples} an example here, {others} in the cells"
    return metric.missing(examples, samples)


def _measured(
    metric: Metric, texts: CellTexts, stats: np.ndarray, sums: np.ndarray, confidence: float
) -> dict[str, Any]:
    """A value with its interval, or why it is undefined. stats: (E, k); sums: (B, k), of every resample."""
    found = sampled(stats, sums, metric.aggregate)
    low, high = found.interval(confidence)
    record: dict[str, Any] = {"value": found.value, "lo": low, "hi": high}
    if not math.isfinite(found.value):
        empty = not any(text.strip() for text in texts.texts)
        record["missing"] = "every text is empty" if empty else metric.undefined
    return record


def without_nan(value: Any) -> Any:
    """NaN and infinities as None, in lists and mappings too: JSON has no word for them."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
