"""The texts of a task's cells, and those of people, as metrics take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from random_routing.environments.tabular import Environment
from random_routing.errors import PipelineError
from random_routing.law.noise import SUBSAMPLE, Source
from random_routing.metrics.helpers.languages import UNKNOWN, Language, language_of
from random_routing.metrics.helpers.portions import PORTION
from random_routing.metrics.helpers.ragged import Ragged, concatenated, from_lists
from random_routing.metrics.metric import CellTexts
from random_routing.models.tokens import encode_after, encode_as_text
from random_routing.runs.cell_files import read_batches
from random_routing.settings import Settings, Task
from random_routing.tasks import TASK_KINDS

NOTHING = np.empty(0)
LISTS = ("token_ids", "routes", "model_logprobs", "entropies")
COLUMNS = ("example_id", "text", "finish", *LISTS)


def text_order(settings: Settings, task: Task, rows: list[dict[str, Any]], samples: int) -> np.ndarray:
    """(rows · samples,) a number per text, the same for all cells: subsamples take the smallest first.

    By the seed of the file: tasks that differ in the seed alone divide the examples in one way, and add up.
    """
    return np.array([
        Source(settings.seed, task.kind, row["id"], sample).uniforms(SUBSAMPLE, 1)[0]
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
        places = range(len(texts), len(texts) + batch.num_rows)
        if len(texts) + batch.num_rows > len(order) or batch["example_id"].to_pylist() != [
            ids[i // task.samples] for i in places
        ]:
            raise PipelineError(f"{path}: its examples are not those of data/prepared/{task.name}.jsonl")
        texts += batch["text"].to_pylist()
        finish += batch["finish"].to_pylist()
        lists.append([batch[name] for name in LISTS])
    if len(texts) != len(order):
        raise PipelineError(f"{path}: its examples are not those of data/prepared/{task.name}.jsonl")
    ragged = {name: from_lists([batch_lists[n] for batch_lists in lists]) for n, name in enumerate(LISTS)}
    columns = {"text": texts, "finish": finish, **ragged}
    return cell_texts(columns, rows, task.samples, vocabulary, order, language_of(task), world_of(task))


def cell_texts(
    columns: Mapping[str, Sequence[Any]],
    rows: list[dict[str, Any]],
    samples: int,
    vocabulary: int,
    order: np.ndarray,
    language: Language = UNKNOWN,
    world: Environment | None = None,
) -> CellTexts:
    """columns: those of a cell's file, lists and `Ragged`; the rows of `rows` in their order, `samples` of each; world:
    of `world_of`.
    """
    example = np.repeat(np.arange(len(rows)), samples)
    texts = _unscored(
        columns["text"], columns["token_ids"], columns["model_logprobs"], example, rows, vocabulary
    )
    routes, entropies = columns["routes"], columns["entropies"]
    if not isinstance(routes, Ragged):
        routes, entropies = concatenated(routes, np.int8), concatenated(entropies, np.float32)
    ended = np.array([finish == "eos" for finish in columns["finish"]])
    return replace(
        texts, routes=routes, entropies=entropies, order=order, ended=ended, language=language, world=world
    )


def world_of(task: Task) -> Environment | None:
    """Where a task's texts are episodes."""
    return TASK_KINDS[task.kind].world(task.model)


def human_texts(
    task: Task, rows: list[dict[str, Any]], tokenizer: Any, order: np.ndarray, rival: str = ""
) -> CellTexts:
    """The first reference of every example, as if a decoder had written it; or what a rival has (`TaskKind.rivals`).

    tokenizer: the generator's, so that lengths are counted the same way; order: `text_order` of one sample.
    """
    texts = [row["meta"][rival] if rival else row["references"][0] for row in rows]
    if TASK_KINDS[task.kind].goes_on:
        ids = encode_after(tokenizer, [row["prompt"] for row in rows], texts)
    else:
        ids = encode_as_text(tokenizer, texts, add_special_tokens=False)["input_ids"]
    unscored = _unscored(texts, ids, [NOTHING] * len(rows), np.arange(len(rows)), rows, len(tokenizer))
    return replace(unscored, order=order, language=language_of(task), world=world_of(task))


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
        sources=[rows[i]["source"] for i in example],
        meta=[rows[i].get("meta", {}) for i in example],
        judge_nll=NOTHING,
        judge_tokens=NOTHING,
        text_embeddings=NOTHING,
        source_embeddings=NOTHING,
        reference_embeddings=NOTHING,
        vocabulary=vocabulary,
        ended=np.zeros(len(texts), dtype=bool),
    )
