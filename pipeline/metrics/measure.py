"""From metric inputs to the contents of `data/metrics/<task>.json`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.metrics.base import CellTexts, Metric
from pipeline.metrics.statistics import by_example, interval, resample_weights
from pipeline.routing.cells import Cell, representatives
from pipeline.settings import Settings, Task


def task_resamples(settings: Settings, task: Task, examples: int, purpose: str = "bootstrap") -> np.ndarray:
    """The bootstrap's weights of a task, (B, E), the same for all that is measured of it."""
    digest = hashlib.sha256(json.dumps([settings.seed, purpose, task.name]).encode()).digest()
    return resample_weights(examples, settings.resamples, int.from_bytes(digest[:8], "little"))


def measure(
    settings: Settings,
    task: Task,
    ids: list[str],
    cells: list[Cell],
    texts: dict[str, CellTexts],
    metrics: list[Metric],
    weights: np.ndarray,
    on_cell: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Values, intervals and per-example statistics of every cell and of the human texts.

    weights: `task_resamples`; all cells share them, so that differences between them are paired.
    """
    first = {} if settings.coupling == "independent" else representatives(cells)
    done: dict[str, dict[str, Any]] = {}  # cells of one decoder hold the same texts
    records = []
    for cell in cells:
        decoder = first.get(cell.decoder, cell.name)
        if decoder not in done:
            done[decoder] = _values(texts[decoder], weights, metrics, settings.confidence)
        records.append(_record(cell, decoder, task, done[decoder], len(ids)))
        on_cell()
    human = _values(texts["human"], weights, metrics, settings.confidence)
    records.append({**dict.fromkeys(EMPTY), **_counts(len(ids), 1), **HUMAN, "metrics": human})
    return {
        "task": task.name,
        "examples": ids,
        "metrics": {
            m.name: {
                "label": m.label,
                "higher_is_better": m.higher_is_better,
                "signature": m.signature.format(
                    judge=task.judge, model=task.model, embedder=settings.embedder, dtype=settings.dtype
                ),
            }
            for m in metrics
        },
        "cells": records,
    }


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


def _values(
    texts: CellTexts, weights: np.ndarray, metrics: list[Metric], confidence: float
) -> dict[str, Any]:
    values = {}
    for metric in metrics:
        stats = by_example(metric.stats(texts), texts.example, texts.examples)  # (E, k)
        value, low, high = interval(stats, weights, metric.aggregate, confidence)
        values[metric.name] = {
            "value": _finite(value),
            "lo": _finite(low),
            "hi": _finite(high),
            "stats": [[_finite(number) for number in row] for row in stats],
        }
    return values


def stats_of(measured: dict[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """Decoder → metric → statistics of each example, (E, k): all that comparisons need of the texts."""
    return {
        record["cell"]: {
            name: np.array(metric["stats"], dtype=np.float64) for name, metric in record["metrics"].items()
        }
        for record in measured["cells"]
        if record["cell"] == record["decoder"]
    }


def without_nan(value: Any) -> Any:
    """NaN and infinities as None, in lists and mappings too: JSON has no word for them."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
