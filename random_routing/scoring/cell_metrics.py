"""From the texts of a task's cells to the values of its metrics, and the statistics behind them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from random_routing.law.cells import Cell, representatives
from random_routing.metrics.helpers.languages import language_of
from random_routing.metrics.metric import CellTexts, Metric
from random_routing.metrics.translation import signatures
from random_routing.resampling.intervals import Sampled, by_example, resampled_all
from random_routing.resampling.weights import Weights, weights_of
from random_routing.results.measured import NAN, CellValues, MetricAbout, Value
from random_routing.results.text_scores import TextScores
from random_routing.scoring.statistics_file import Statistics
from random_routing.settings import Settings, Task
from random_routing.tasks import TASK_KINDS


def task_resamples(
    settings: Settings, task: Task, ids: Sequence[str], purpose: str = "bootstrap"
) -> Weights:
    """The bootstrap's weights of a task, (B, E), the same for all that is measured of it.

    An example's weights follow the rank of its id, so that the order of the file does not matter.
    """
    digest = hashlib.sha256(json.dumps([task.seed, purpose, task.kind]).encode()).digest()
    weights = weights_of(len(ids), settings.resamples, int.from_bytes(digest[:8], "little"))
    return weights[:, np.argsort(np.argsort(np.array(ids)))]


def half_resamples(settings: Settings, task: Task, ids: Sequence[str]) -> list[Weights]:
    """Those of every second example in the order of their ids, (B, ⌈E/2⌉), and of the others, (B, ⌊E/2⌋)."""
    return [task_resamples(settings, task, sorted(ids)[half::2], f"half {half}") for half in range(2)]


def measure(
    settings: Settings,
    task: Task,
    cells: list[Cell],
    texts: Mapping[str, CellTexts],
    metrics: list[Metric],
    weights: Weights,
    on_cell: Callable[[], None] = lambda: None,
) -> tuple[list[CellValues], Statistics, TextScores]:
    """Values and intervals of every cell and, last, of the human texts, the statistics behind them, and each text's
    own values.

    texts: each taken once and dropped after its statistics, so that a mapping may make them when they are asked
    for. weights: `task_resamples`, (B, E); all cells share them, so that differences between them are paired.
    """
    first = {} if settings.coupling == "independent" else representatives(cells)
    values: dict[str, dict[str, Value]] = {}  # cells of one decoder hold the same texts
    stats: Statistics = {}
    scores: TextScores = {}
    records = []
    for cell in cells:
        decoder = first.get(cell.decoder, cell.name)
        if decoder not in values:
            values[decoder], stats[decoder], scores[decoder] = _values(
                settings, task, texts[decoder], metrics, weights, task.samples
            )
        records.append(_cell_values(cell, decoder, task, values[decoder], weights.shape[1]))
        on_cell()
    people, stats["human"], scores["human"] = _values(settings, task, texts["human"], metrics, weights, 1)
    records.append(
        CellValues("human", "human", "", NAN, NAN, NAN, NAN, "human", weights.shape[1], 1, people)
    )
    return records, stats, scores


def describe(
    settings: Settings,
    task: Task,
    metrics: list[Metric],
    opening: str = "",
    embedder: str = "",
    pooling: str = "",
) -> dict[str, MetricAbout]:
    """What the metrics are, with whole signatures. opening: the judge's, by name; embedder, pooling: name and signature
    of `Embeddings`.
    """
    fixed = {
        "judge": task.judge, "opening": opening, "given": TASK_KINDS[task.kind].judged, "model": task.model,
        "embedder": embedder, "pooling": pooling, "dtype": settings.dtype, **signatures(language_of(task)),
    }  # fmt: skip
    return {
        m.name: MetricAbout(m.label, m.unit, m.better, m.needs, m.source, m.signature.format(**fixed))
        for m in metrics
    }


def _values(
    settings: Settings, task: Task, texts: CellTexts, metrics: list[Metric], weights: Weights, samples: int
) -> tuple[dict[str, Value], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Every metric's value, the statistics (E, k) of those that have one, and the values (R,) that each text has of
    those. samples: texts per example.
    """
    why = {m.name: _missing(m, texts.examples, samples, task.samples) for m in metrics}
    enough = [m for m in metrics if why[m.name] is None]
    by_text = {m.name: m.stats(texts) for m in enough}
    stats = {m.name: by_example(by_text[m.name], texts.example, texts.examples) for m in enough}
    alone = {m.name: m.aggregate(by_text[m.name]) for m in enough if m.of_one_text}
    drawn = resampled_all(weights, [(stats[m.name], m.aggregate) for m in enough])
    values = {m.name: Value(NAN, NAN, NAN, why[m.name] or "") for m in metrics}
    for metric, resampled in zip(enough, drawn, strict=True):
        values[metric.name] = _value(metric, texts, resampled, settings.confidence)
    return values, stats, alone


def _cell_values(
    cell: Cell, decoder: str, task: Task, values: dict[str, Value], examples: int
) -> CellValues:
    q, lam, r, setting = (NAN if x is None else x for x in (cell.q, cell.lam, cell.r, cell.setting))
    about = (cell.name, cell.family, cell.variant, q, lam, r, setting, decoder)
    return CellValues(*about, examples, task.samples, values)


def _missing(metric: Metric, examples: int, samples: int, others: int) -> str | None:
    """Why a metric is missing. samples: texts per example; others: of the cells that it stands beside."""
    if metric.over_all and samples != others:
        return f"depends on the number of texts: {samples} an example here, {others} in the cells"
    return metric.missing(examples, samples)


def _value(metric: Metric, texts: CellTexts, resampled: Sampled, confidence: float) -> Value:
    """A value with its interval, or why it is undefined."""
    why = ""
    if not math.isfinite(resampled.value):
        why = metric.undefined if any(text.strip() for text in texts.texts) else "every text is empty"
    return Value(resampled.value, *resampled.interval(confidence), why)
