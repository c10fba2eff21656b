"""Everything the metrics need of a task's cells: texts, judge scores, embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.checks import PipelineError
from pipeline.decoding.cellfile import read_cell
from pipeline.decoding.forest import Work
from pipeline.decoding.model import load_model, load_tokenizer, read_shape
from pipeline.decoding.network import LanguageModel
from pipeline.decoding.store import Store
from pipeline.files import read_json
from pipeline.metrics.base import CellTexts
from pipeline.metrics.judge import Scored, score_texts, tokenize
from pipeline.routing.noise import SUBSAMPLE, uniforms
from pipeline.settings import Settings, Task
from pipeline.tasks import TASKS

NOTHING = np.empty(0)


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
    columns = read_cell(path)[0].to_pydict()
    if columns["example_id"] != [row["id"] for row in rows for _ in range(task.samples)]:
        raise PipelineError(f"{path}: its examples are not those of data/prepared/{task.name}.jsonl")
    return cell_texts(columns, rows, task.samples, vocabulary, order)


def cell_texts(
    columns: dict[str, list[Any]],
    rows: list[dict[str, Any]],
    samples: int,
    vocabulary: int,
    order: np.ndarray,
) -> CellTexts:
    """columns: those of a cell's file, the rows of `rows` in their order, `samples` of each."""
    example = np.repeat(np.arange(len(rows)), samples)
    log_probs = [np.array(values) for values in columns["model_logprobs"]]
    texts = _unscored(columns["text"], columns["token_ids"], log_probs, example, rows, vocabulary)
    routes = [np.array(values, dtype=np.int8) for values in columns["routes"]]
    ended = np.array([finish == "eos" for finish in columns["finish"]])
    return replace(texts, routes=routes, order=order, ended=ended)


def human_texts(rows: list[dict[str, Any]], tokenizer: Any, order: np.ndarray) -> CellTexts:
    """The first reference of every example, as if a decoder had written it.

    tokenizer: the generator's, so that lengths are counted alike; order: `text_order` of one sample.
    """
    texts = [row["references"][0] for row in rows]
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    found = _unscored(texts, ids, [NOTHING] * len(rows), np.arange(len(rows)), rows, len(tokenizer))
    return replace(found, order=order)


def _unscored(
    texts: list[str],
    token_ids: list[list[int]],
    log_probs: list[np.ndarray],
    example: np.ndarray,
    rows: list[dict[str, Any]],
    vocabulary: int,
) -> CellTexts:
    return CellTexts(
        texts=texts,
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
    def model(self) -> LanguageModel:
        return load_model(self.folder, self.settings.dtype, self.settings.device)

    def pairs(self, rows: Sequence[dict[str, Any]], texts: Sequence[str]) -> list[Scored]:
        """Each text after the context of its row."""
        contexts = [self.kind.judge_context(row) for row in rows]
        judged = [self.kind.judge_text(text) for text in texts]
        return tokenize(self.tokenizer, contexts, judged, read_shape(self.folder).context, self.name)


def add_judge(
    judge: Judge,
    rows: list[dict[str, Any]],
    cells: dict[str, CellTexts],
    store: Store,
    on_tokens: Callable[[int, int], None],
    among: Sequence[dict[str, Any]] = (),
) -> tuple[dict[str, CellTexts], Work]:
    """Judge scores of all texts, and the judge's work; equal texts of one example are scored once.

    among: all rows of the task, where `rows` are some of them: prompts are padded alike then, and what was
    scored for all is there already.
    """
    settings = judge.settings
    wanted = list(
        dict.fromkeys((i, t) for c in cells.values() for i, t in zip(c.example, c.texts, strict=True))
    )
    pairs = judge.pairs([rows[i] for i, _ in wanted], [text for _, text in wanted])
    whole = judge.pairs(among, [""] * len(among)) if among else []
    address = {
        "judge": read_json(judge.folder / "asset.json")["files"],
        "dtype": settings.dtype,
        "device": settings.device,
    }
    log_probs, work = score_texts(
        lambda: judge.model,
        address,
        pairs,
        store,
        settings.batch_size,
        settings.max_rows,
        on_tokens,
        longest=max((len(pair.context) for pair in whole), default=0),
    )
    of_text = dict(zip(wanted, log_probs, strict=True))
    judged = {name: _judged(cell, of_text) for name, cell in cells.items()}
    human = judged["human"]  # a text an example, in the order of the examples
    return {
        name: replace(
            cell,
            human_nll=human.judge_nll[cell.example],
            human_tokens=human.judge_tokens[cell.example],
        )
        for name, cell in judged.items()
    }, work


def _judged(cell: CellTexts, of_text: dict[tuple[int, str], np.ndarray]) -> CellTexts:
    log_probs = [of_text[item] for item in zip(cell.example, cell.texts, strict=True)]
    return replace(
        cell,
        judge_logprobs=log_probs,
        judge_nll=np.array([-values.astype(np.float64).sum() for values in log_probs]),
        judge_tokens=np.array([len(values) for values in log_probs]),
    )


def add_embeddings(
    rows: list[dict[str, Any]],
    cells: dict[str, CellTexts],
    embed: Callable[[list[str]], np.ndarray],
) -> dict[str, CellTexts]:
    """Unit vectors of texts, sources and first references; equal texts are embedded once."""
    sources = [row["source"] for row in rows]
    references = [row["references"][0] for row in rows]
    texts = list(dict.fromkeys([*sources, *references, *(t for c in cells.values() for t in c.texts)]))
    vectors = embed(texts)  # (texts, D)
    place = {text: n for n, text in enumerate(texts)}
    return {
        name: replace(
            cell,
            text_embeddings=vectors[[place[text] for text in cell.texts]],
            source_embeddings=vectors[[place[sources[i]] for i in cell.example]],
            reference_embeddings=vectors[[place[references[i]] for i in cell.example]],
        )
        for name, cell in cells.items()
    }
