"""Cells → quality, diversity and reward on some examples, through the store and decoder of the grid.

Equal texts of the grid, of an earlier trial or of an interrupted run are there already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from random_routing.decode.row_counts import Work
from random_routing.errors import PipelineError
from random_routing.law.cells import Cell, Decoder
from random_routing.metrics import METRICS, CellTexts, Metric
from random_routing.metrics.helpers.languages import language_of
from random_routing.metrics.metric import first_with_enough
from random_routing.models.folder import load_tokenizer
from random_routing.models.network import LanguageModel
from random_routing.resampling.intervals import Sampled, by_example, resampled
from random_routing.resampling.weights import Weights
from random_routing.runs.blocks import grouped, units
from random_routing.runs.generation import calibrate, generator_loader, remade, run_units
from random_routing.runs.make_plan import Prepared
from random_routing.runs.packed_texts import cell_row, unpack
from random_routing.runs.plan import Plan, Text
from random_routing.runs.processes import in_processes
from random_routing.runs.recheck import Sample
from random_routing.runs.store import Store
from random_routing.scoring.add_scores import Judge, add_embeddings, add_judge, embeddings_of
from random_routing.scoring.cell_metrics import task_resamples
from random_routing.scoring.cell_texts import cell_texts, human_texts, text_order, world_of
from random_routing.settings import Base, Settings, Task

HERE = partial(in_processes, workers=1)  # with a model that stays loaded
PLAIN = Cell("plain sampling", "temperature", Decoder(Base()))


class Unrewarded(PipelineError):
    """There is no reward to tune for."""


def too_few(key: str, metric: Metric, lack: str | None) -> Unrewarded:
    return Unrewarded(
        f"params.yaml: comparison.{key} = {metric.name}: {lack} in the smaller split (tune.share)"
    )


@dataclass(frozen=True)
class Scores:
    """Of one cell on some examples; quality and diversity turned so that more is better."""

    quality: Sampled
    diversity: Sampled
    reward: Sampled


class Scorer:
    """The cells of a task, scored.

    rows: all prepared examples; fewest: the smallest number of them that a quality must be enough for.
    """

    def __init__(
        self, settings: Settings, task: Task, rows: list[dict[str, Any]], store: Store, fewest: int
    ) -> None:
        tune = settings.tune
        of_task = tuple(name for name in tune.variants if name in settings.variants_of(task))
        if not of_task:
            raise Unrewarded(f"params.yaml: tune.variants: none of them is a variant of tasks.{task.name}")
        settings = replace(settings, tune=replace(tune, variants=of_task))
        self.settings, self.task, self.rows = settings, task, rows
        self.store = store
        self.folder = Path("data/assets") / task.model
        self.tokenizer = load_tokenizer(self.folder, task.source_code)
        self.prepared = Prepared(settings, task, rows, self.folder, self.tokenizer)
        self.diversity = METRICS[settings.comparison.diversity[task.name]]
        # People wrote one text per example: what depends on the number of texts must be of one each.
        alone = self.diversity.over_all and settings.tune.target == "human"
        self.diversity_samples = 1 if alone else task.samples
        if lack := self.diversity.missing(fewest, self.diversity_samples):
            raise too_few("diversity", self.diversity, lack)
        if settings.tune.target == "human" and self.diversity.minimum_samples > 1:
            raise Unrewarded(
                f"params.yaml: tune.target = human: people wrote one text per example, and comparison.diversity = "
                f"{self.diversity.name} is about several; allowed: sampling, a number"
            )
        self.quality = self._quality(fewest)
        self.judge = Judge(settings, task)
        self.embeddings = embeddings_of(settings, task, store)
        self.sample = Sample[Text]()  # of the texts that were computed
        self.work = Work()
        self._plan: Plan | None = None  # of the texts that were computed last, with the tables of all

    @cached_property
    def _model(self) -> LanguageModel:
        return generator_loader(self.settings, self.task, self.folder)()

    def _quality(self, examples: int) -> Metric:
        metrics = [METRICS[name] for name in self.settings.comparison.quality[self.task.name]]
        quality = first_with_enough(metrics, examples, self.task.samples)
        if quality is None:
            raise too_few(
                f"quality.{self.task.name}", metrics[0], metrics[0].missing(examples, self.task.samples)
            )
        return quality

    def remade(self) -> Iterator[dict[bytes, bytes]]:
        """Some of all that was computed, made again: texts, the judge's scores, embeddings."""
        if self._plan:
            yield from remade(self.settings, self._plan, self.sample, lambda: self._model, HERE)
        yield from self.judge.remade(self.store)
        yield from self.embeddings.remade()

    def scores(self, cells: Sequence[Cell], examples: np.ndarray) -> dict[str, Scores]:
        """Cell → score on the rows `examples`, (N,) numbers. Cells have different names."""
        rows = [self.rows[i] for i in examples]
        with_plain = [*cells, PLAIN]
        texts = self._texts(with_plain, examples, rows, self.task.samples)
        counted = texts  # whose diversity counts
        if self.diversity_samples != self.task.samples:
            counted = self._texts(with_plain, examples, rows, self.diversity_samples)
        weights = task_resamples(self.settings, self.task, [row["id"] for row in rows], "tune")

        def sampled(cell: CellTexts, metric: Metric) -> Sampled:
            stats = by_example(metric.stats(cell), cell.example, len(rows))
            return metric.up(resampled(stats, weights, metric.aggregate))

        target = self._target(lambda name: sampled(counted[name], self.diversity), weights)
        scores = {}
        for cell in cells:
            how_good = sampled(texts[cell.name], self.quality)
            how_diverse = sampled(counted[cell.name], self.diversity)
            scores[cell.name] = Scores(how_good, how_diverse, self._reward(how_good, how_diverse, target))
        return scores

    def _target(self, diversity: Callable[[str], Sampled], weights: Weights) -> Sampled:
        wanted = self.settings.tune.target
        if isinstance(wanted, str):
            return diversity("human" if wanted == "human" else PLAIN.name)
        return Sampled(wanted, np.full(len(weights), wanted), weights.shape[1])

    def _reward(self, quality: Sampled, diversity: Sampled, target: Sampled) -> Sampled:
        """quality − weight · max(0, target − diversity)."""
        weight, lack = self.settings.tune.weight[self.task.name], target - diversity
        return Sampled(
            quality.value - weight * max(0.0, lack.value),
            quality.resamples - weight * np.maximum(0.0, lack.resamples),
            quality.examples,
        )

    def _texts(
        self, cells: Sequence[Cell], examples: np.ndarray, rows: list[dict[str, Any]], samples: int
    ) -> dict[str, CellTexts]:
        """Cell, and "human" → its texts, `samples` per example, with what the metrics need."""
        settings, task = self.settings, self.task
        plan = self.prepared.plan(list(cells))
        plan = calibrate(settings, plan, self.folder, self.store, lambda *event: None)[0]
        chosen = [plan.examples[i] for i in examples]
        wanted = {cell.name: plan.texts(plan.job_of(cell), chosen, samples) for cell in plan.cells}
        distinct = {text.key: text for texts in wanted.values() for text in texts}
        missing = self.store.absent((text, key) for key, text in distinct.items())
        self.sample.add((text.key, text) for text in missing)
        self._plan = replace(plan, tables={**(self._plan.tables if self._plan else {}), **plan.tables})
        if missing:
            self.work += run_units(
                lambda: self._model, plan, units(grouped(missing), settings.max_rows), self.store,
                settings.batch_size, HERE,
            )  # fmt: skip
        order, language = text_order(settings, task, rows, samples), language_of(task)
        inputs: dict[str, CellTexts] = {}
        for name, texts in wanted.items():
            values = self.store.take([text.key for text in texts])
            records = [cell_row(text, unpack(values[text.key]), self.tokenizer, plan) for text in texts]
            columns = {key: [record[key] for record in records] for key in records[0]}
            columns["model_logprobs"] = [np.array(logs) for logs in columns["model_logprobs"]]
            inputs[name] = cell_texts(
                columns, rows, samples, len(self.tokenizer), order, language, world_of(task)
            )
        inputs["human"] = human_texts(task, rows, self.tokenizer, text_order(settings, task, rows, 1))
        used = (self.quality, self.diversity)
        if any(metric.reads("judge") for metric in used):
            judged, _ = add_judge(self.judge, rows, inputs, self.store, lambda done, total: None)
            inputs = dict(judged)
        if any(metric.reads("embedder") for metric in used):
            inputs = dict(add_embeddings(rows, inputs, self.embeddings))
        return inputs
