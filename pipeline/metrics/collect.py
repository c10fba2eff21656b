"""Everything the metrics need of a task's cells: texts, judge scores, embeddings; a cell at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.checks import PipelineError
from pipeline.decoding.cellfile import read_batches
from pipeline.decoding.execute import Executor
from pipeline.decoding.forest import Work
from pipeline.decoding.model import load_model, load_tokenizer, read_shape
from pipeline.decoding.network import LanguageModel
from pipeline.decoding.store import Store
from pipeline.decoding.tokens import encode_after, encode_as_text
from pipeline.decoding.workers import in_processes
from pipeline.files import read_json
from pipeline.metrics.base import CellTexts
from pipeline.metrics.embedding import Embeddings
from pipeline.metrics.judge import Scored, Scores, tokenize
from pipeline.metrics.portions import PORTION, Lazy, cut, portions
from pipeline.metrics.ragged import Ragged, concatenated, from_lists
from pipeline.routing.noise import SUBSAMPLE, uniforms
from pipeline.settings import Settings, Task
from pipeline.tasks import TASKS

NOTHING = np.empty(0)
LISTS = ("token_ids", "routes", "model_logprobs")
COLUMNS = ("example_id", "text", "finish", *LISTS)


def text_order(settings: Settings, task: Task, rows: list[dict[str, Any]], samples: int) -> np.ndarray:
    """(rows · samples,) a number a text, the same for all cells: subsamples take the smallest first."""
    return np.array([
        uniforms(settings.seed, task.name, row["id"], sample, SUBSAMPLE, 1)[0]
        for row in rows
        for sample in range(samples)
    ])  # fmt: skip


def read_texts(
    task: Task, cell: str, rows: list[dict[str, Any]], vocabulary: int, order: np.ndarray
) -> CellTexts:
    """A cell's file as metric input; scores and embeddings are still empty.

    vocabulary: size of the generator's; order: `text_order`.
    """
    path = Path("data/generations") / task.name / f"{cell}.parquet"
    ids = [row["id"] for row in rows]
    texts: list[str] = []
    finish: list[str] = []
    lists: list[list[Any]] = []
    for batch in read_batches(path, COLUMNS, PORTION):
        here = range(len(texts), len(texts) + batch.num_rows)
        if len(texts) + batch.num_rows > len(order) or batch["example_id"].to_pylist() != [
            ids[i // task.samples] for i in here
        ]:
            raise PipelineError(f"{path}: its examples are not those of data/prepared/{task.name}.jsonl")
        texts += batch["text"].to_pylist()
        finish += batch["finish"].to_pylist()
        lists.append([batch[name] for name in LISTS])
    if len(texts) != len(order):
        raise PipelineError(f"{path}: its examples are not those of data/prepared/{task.name}.jsonl")
    ragged = {name: from_lists([few[n] for few in lists]) for n, name in enumerate(LISTS)}
    return cell_texts({"text": texts, "finish": finish, **ragged}, rows, task.samples, vocabulary, order)


def cell_texts(
    columns: Mapping[str, Sequence[Any]],
    rows: list[dict[str, Any]],
    samples: int,
    vocabulary: int,
    order: np.ndarray,
) -> CellTexts:
    """columns: those of a cell's file, lists and `Ragged`; the rows of `rows` in their order, `samples` of each."""
    example = np.repeat(np.arange(len(rows)), samples)
    texts = _unscored(
        columns["text"], columns["token_ids"], columns["model_logprobs"], example, rows, vocabulary
    )
    routes = columns["routes"]
    if not isinstance(routes, Ragged):
        routes = concatenated(routes, np.int8)
    ended = np.array([finish == "eos" for finish in columns["finish"]])
    return replace(texts, routes=routes, order=order, ended=ended)


def human_texts(task: Task, rows: list[dict[str, Any]], tokenizer: Any, order: np.ndarray) -> CellTexts:
    """The first reference of every example, as if a decoder had written it.

    tokenizer: the generator's, so that lengths are counted alike; order: `text_order` of one sample.
    """
    texts = [row["references"][0] for row in rows]
    if TASKS[task.name].goes_on:
        ids = encode_after(tokenizer, [row["prompt"] for row in rows], texts)
    else:
        ids = encode_as_text(tokenizer, texts, add_special_tokens=False)["input_ids"]
    found = _unscored(texts, ids, [NOTHING] * len(rows), np.arange(len(rows)), rows, len(tokenizer))
    return replace(found, order=order)


def _unscored(
    texts: Sequence[str],
    token_ids: Sequence[Any],
    log_probs: Sequence[np.ndarray],
    example: np.ndarray,
    rows: list[dict[str, Any]],
    vocabulary: int,
) -> CellTexts:
    return CellTexts(
        texts=list(texts),
        token_ids=token_ids,
        model_logprobs=log_probs,
        example=example,
        examples=len(rows),
        references=[rows[i]["references"] for i in example],
        judge_nll=NOTHING,
        judge_tokens=NOTHING,
        text_embeddings=NOTHING,
        source_embeddings=NOTHING,
        reference_embeddings=NOTHING,
        vocabulary=vocabulary,
        ended=np.zeros(len(texts), dtype=bool),
    )


class Judge:
    """A task's judge; its parts are loaded when they are first needed."""

    def __init__(self, settings: Settings, task: Task) -> None:
        self.settings, self.name = settings, task.judge
        self.kind = TASKS[task.name]
        self.folder = Path("data/assets") / task.judge

    @cached_property
    def tokenizer(self) -> Any:
        return load_tokenizer(self.folder)

    @cached_property
    def positions(self) -> int:
        """Tokens that it can read at once."""
        return read_shape(self.folder).context

    @property
    def load(self) -> Callable[[], LanguageModel]:
        """For other processes too."""
        return partial(load_model, self.folder.resolve(), self.settings.dtype, self.settings.device)

    @cached_property
    def model(self) -> LanguageModel:
        return self.load()

    def pairs(self, rows: Sequence[dict[str, Any]], texts: Sequence[str], longest: int = 0) -> list[Scored]:
        """Each text after the context of its row; longest: tokens of the task's longest context."""
        contexts = [self.kind.judge_context(row) for row in rows]
        judged = [self.kind.judge_text(text) for text in texts]
        return tokenize(self.tokenizer, contexts, judged, self.positions, self.name, longest)

    def scores(self, rows: Sequence[dict[str, Any]], store: Store) -> Scores:
        """The judge's scores in the store. rows: all of the task, whose contexts are padded alike."""
        address = {
            "judge": read_json(self.folder / "asset.json")["files"],
            "dtype": self.settings.dtype,
            "device": self.settings.device,
        }
        longest = max(len(pair.context) for few in cut(rows) for pair in self.pairs(few, [""] * len(few)))
        return Scores(address, store, longest)


def add_judge(
    judge: Judge,
    rows: list[dict[str, Any]],
    cells: Mapping[str, CellTexts],
    store: Store,
    on_tokens: Callable[[int, int], None],
    among: Sequence[dict[str, Any]] = (),
    execute: Executor | None = None,
) -> tuple[Lazy, Work]:
    """Cells with judge scores, and the judge's work. Equal texts of one example are scored once, a portion of
    all cells' texts at a time; a cell has its scores from the store whenever it is asked for.

    among: all rows of the task, where `rows` are some of them: prompts are padded alike then, and what was
    scored for all is there already. execute: where the judge runs; by default here, with a model that stays loaded.
    """
    settings, scores = judge.settings, judge.scores(among or rows, store)
    work = scores.compute(
        execute or partial(in_processes, workers=1),
        judge.load if execute else lambda: judge.model,
        (few for cell in cells.values() for few in _pairs(judge, rows, cell, scores)),
        settings.batch_size,
        settings.max_rows,
        on_tokens,
    )
    human = _judged(judge, rows, cells["human"], scores)  # a text an example, in the order of the examples

    def judged(name: str) -> CellTexts:
        cell = _judged(judge, rows, cells[name], scores)
        return replace(
            cell, human_nll=human.judge_nll[cell.example], human_tokens=human.judge_tokens[cell.example]
        )

    return Lazy(cells, judged), work


def _pairs(
    judge: Judge, rows: list[dict[str, Any]], cell: CellTexts, scores: Scores
) -> Iterator[list[Scored]]:
    """A cell's texts after their contexts, a portion at a time."""
    for few in cut(range(len(cell.texts))):
        yield judge.pairs(
            [rows[cell.example[i]] for i in few], [cell.texts[i] for i in few], scores.longest
        )


def _judged(judge: Judge, rows: list[dict[str, Any]], cell: CellTexts, scores: Scores) -> CellTexts:
    log_probs = concatenated(
        [values for few in _pairs(judge, rows, cell, scores) for values in scores.read(few)], np.float32
    )
    return replace(
        cell,
        judge_logprobs=log_probs,
        judge_nll=np.array([-values.astype(np.float64).sum() for values in log_probs]),
        judge_tokens=log_probs.lengths,
    )


def add_embeddings(
    rows: list[dict[str, Any]], cells: Mapping[str, CellTexts], embeddings: Embeddings
) -> Lazy:
    """Cells with unit vectors of texts, sources and first references. Equal texts are embedded once, a portion
    of all cells' texts at a time; a cell has its vectors from the store whenever it is asked for.
    """
    sources = [row["source"] for row in rows]
    references = [row["references"][0] for row in rows]
    texts = chain([sources, references], (cell.texts for cell in cells.values()))
    for portion in portions((few for own in texts for few in cut(own)), embeddings.absent):
        embeddings.compute(portion)
    source_vectors, reference_vectors = embeddings.read(sources), embeddings.read(references)  # (E, D)

    def embedded(name: str) -> CellTexts:
        cell = cells[name]
        return replace(
            cell,
            text_embeddings=embeddings.read(cell.texts),
            source_embeddings=source_vectors[cell.example],
            reference_embeddings=reference_vectors[cell.example],
        )

    return Lazy(cells, embedded)
