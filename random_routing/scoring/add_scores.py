"""What models say of a task's texts, judge scores and embeddings; a cell at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from random_routing.decode.row_counts import Work
from random_routing.files import asset_files
from random_routing.metrics.helpers.portions import Lazy, cut, portions
from random_routing.metrics.helpers.ragged import concatenated
from random_routing.metrics.metric import CellTexts
from random_routing.models.folder import load_tokenizer, read_shape
from random_routing.models.loading import load_model
from random_routing.models.network import LanguageModel
from random_routing.models.numerics import arithmetic
from random_routing.models.shape import Shape
from random_routing.runs.executors import Executor
from random_routing.runs.processes import in_processes
from random_routing.runs.recheck import Sample
from random_routing.runs.store import Store
from random_routing.scoring.embedding import Embeddings
from random_routing.scoring.judge import Scored, Scores, tokenize
from random_routing.scoring.opening import Opening, opening_of
from random_routing.scoring.pixel_features import PixelEmbeddings
from random_routing.settings import Settings, Task
from random_routing.tasks import TASK_KINDS


class Judge:
    """A task's judge; its parts are loaded when they are first needed."""

    def __init__(self, settings: Settings, task: Task) -> None:
        self.settings, self.name = settings, task.judge
        self.kind = TASK_KINDS[task.kind]
        self.folder = Path("data/assets") / task.judge
        self.sample = Sample[Scored]()  # of the scores that were computed

    @cached_property
    def tokenizer(self) -> Any:
        return load_tokenizer(self.folder)

    @cached_property
    def shape(self) -> Shape:
        return read_shape(self.folder)

    @cached_property
    def opening(self) -> Opening:
        """What it reads before all contexts."""
        return opening_of(self.tokenizer, self.name, self.shape.is_encoder_decoder)

    @property
    def load(self) -> Callable[[], LanguageModel]:
        """For other processes too."""
        return partial(load_model, self.folder.resolve(), self.settings.dtype, self.settings.device)

    @cached_property
    def model(self) -> LanguageModel:
        return self.load()

    def runs(self, execute: Executor | None) -> tuple[Executor, Callable[[], LanguageModel]]:
        """An executor and how the model is loaded there; by default here, with a model that stays loaded."""
        return (execute, self.load) if execute else (partial(in_processes, workers=1), lambda: self.model)

    def remade(self, store: Store, execute: Executor | None = None) -> Iterator[dict[bytes, bytes]]:
        """Some of the scores that were computed, made again; as `Scores.remade`."""
        return self.scores(store).remade(*self.runs(execute), self.settings.batch_size)

    def pairs(self, rows: Sequence[dict[str, Any]], texts: Sequence[str]) -> list[Scored]:
        """Each text after the context of its row."""
        contexts = [self.kind.judge_context(row) for row in rows]
        judged = [self.kind.judge_text(text) for text in texts]
        return tokenize(self.tokenizer, self.opening, contexts, judged, self.shape.context, self.name)

    def scores(self, store: Store) -> Scores:
        """The judge's scores in the store."""
        how = arithmetic(self.settings.dtype, self.settings.device)
        return Scores({"judge": asset_files(self.folder), **how}, store, self.sample)


def add_judge(
    judge: Judge,
    rows: list[dict[str, Any]],
    cells: Mapping[str, CellTexts],
    store: Store,
    on_tokens: Callable[[int, int], None],
    execute: Executor | None = None,
    begin: Callable[[], None] = lambda: None,
) -> tuple[Lazy, Work]:
    """Cells with judge scores, and the judge's work. Equal texts of one example are scored once, a portion of
    all cells' texts at a time; a cell has its scores from the store whenever it is asked for.

    execute: where the judge runs; by default here, with a model that stays loaded. begin: called if it runs.
    """
    settings, scores = judge.settings, judge.scores(store)
    work = scores.compute(
        *judge.runs(execute),
        (pairs for cell in cells.values() for pairs in _pairs(judge, rows, cell)),
        settings.batch_size,
        settings.max_rows,
        on_tokens,
        begin,
    )
    human = _judged(judge, rows, cells["human"], scores)  # a text per example, in their order

    def judged(name: str) -> CellTexts:
        cell = _judged(judge, rows, cells[name], scores)
        return replace(
            cell, human_nll=human.judge_nll[cell.example], human_tokens=human.judge_tokens[cell.example]
        )

    return Lazy(cells, judged), work


def _pairs(judge: Judge, rows: list[dict[str, Any]], cell: CellTexts) -> Iterator[list[Scored]]:
    """A cell's texts after their contexts, a portion at a time."""
    for portion in cut(range(len(cell.texts))):
        yield judge.pairs([rows[cell.example[i]] for i in portion], [cell.texts[i] for i in portion])


def _judged(judge: Judge, rows: list[dict[str, Any]], cell: CellTexts, scores: Scores) -> CellTexts:
    values, unread = list[np.ndarray](), list[int]()
    for pairs in _pairs(judge, rows, cell):
        values += scores.read(pairs)
        unread += [pair.unread for pair in pairs]
    log_probs = concatenated(values, np.float32)
    return replace(
        cell,
        judge_unread=np.array(unread),
        judge_logprobs=log_probs,
        judge_nll=np.array([-values.astype(np.float64).sum() for values in log_probs]),
        judge_tokens=log_probs.lengths,
    )


# How texts become vectors; a kind of task says which (`TaskKind.embeds`).
EMBEDDINGS: dict[str, type[Embeddings]] = {"sentences": Embeddings, "pixels": PixelEmbeddings}


def embeddings_of(
    settings: Settings,
    task: Task,
    store: Store,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> Embeddings:
    return EMBEDDINGS[TASK_KINDS[task.kind].embeds](settings, task, store, show)


def add_embeddings(
    rows: list[dict[str, Any]], cells: Mapping[str, CellTexts], embeddings: Embeddings
) -> Lazy:
    """Cells with vectors of texts and of what stands beside them. Equal texts are embedded once, a portion of all
    cells' texts at a time; a cell has its vectors from the store whenever it is asked for.
    """
    texts = chain(embeddings.beside(rows), (cell.texts for cell in cells.values()))
    for portion in portions((piece for of_cell in texts for piece in cut(of_cell)), embeddings.absent):
        embeddings.compute(portion)
    fields = embeddings.fields(rows)

    def embedded(name: str) -> CellTexts:
        cell = cells[name]
        return replace(cell, **fields(cell))

    return Lazy(cells, embedded)
