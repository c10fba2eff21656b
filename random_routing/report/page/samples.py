"""Texts for the page: the pieces of each token with what is known of it, equal texts once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from random_routing.metrics import METRICS
from random_routing.models.tokens import pieces as pieces_of
from random_routing.results.text_scores import TextScores
from random_routing.runs.cell_files import read_batches

MOST_TEXTS = 4000  # per task, so that a page of many cells stays usable
COLUMNS = ("example_id", "sample", "token_ids", "routes", "model_logprobs", "ranks", "entropies", "finish")
MOST_SAMPLES = 2  # texts of one prompt
LONGEST = 200  # characters of one token


def shown(wanted: int, examples: int, decoders: int, samples: int) -> int:
    """How many examples the page holds the texts of."""
    return max(1, min(wanted, examples, MOST_TEXTS // (decoders * min(samples, MOST_SAMPLES))))


def task_samples(
    folder: Path,
    decoders: Sequence[str],
    prepared: Sequence[dict[str, Any]],
    samples: int,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    follow: bool = True,
    scores: TextScores | None = None,
    shown_as: str = "text",
) -> dict[str, Any]:
    """Contents of the page's sample browser for one task.

    folder: of the cells' files; prepared: the examples to be shown, the first of the file; prompts: token ids of
    their prompts; follow: whether texts go on after those, and not after nothing, as an encoder–decoder model's;
    scores: of every text of the files; shown_as: of the task's kind. A token's piece is listed once; a text is [piece
    numbers, log-probabilities × 100, ranks, routes, entropies × 100, whether the last token is its end]. An example's
    `given` is what the model read, with its control tokens. `scores`: metric → a value for each text listed; `people`:
    for each example.
    """
    scores = scores or {}
    before = {row["id"]: ids if follow else () for row, ids in zip(prepared, prompts, strict=True)}
    pieces: dict[tuple[int, str], int] = {}  # by token too: two that look the same may be where texts part
    texts: dict[tuple[Any, ...], int] = {}  # equal texts of one example: probabilities are its own
    listed: list[list[Any]] = []
    cells: dict[str, list[int]] = {}
    values: dict[str, list[float | None]] = {name: [] for name in next(iter(scores.values()), {})}
    kept = min(samples, MOST_SAMPLES)
    for decoder in decoders:
        cells[decoder] = []
        rows = first_rows(folder / f"{decoder}.parquet", len(prepared) * samples)
        for place, record in enumerate(rows):
            if record["sample"] >= kept:
                continue
            ids = record["token_ids"]
            key = (record["example_id"], *ids, -1, *record["routes"])
            if key not in texts:
                texts[key] = len(listed)
                spelt = pieces_of(tokenizer, before[record["example_id"]], ids)
                named = zip(ids, map(cut, spelt), strict=True)
                numbers = [pieces.setdefault(token, len(pieces)) for token in named]
                hundredths = [
                    [round(100 * x) for x in record[name]] for name in ("model_logprobs", "entropies")
                ]
                ended = int(record["finish"] == "eos")
                listed.append(
                    [numbers, hundredths[0], record["ranks"], record["routes"], hundredths[1], ended]
                )
                for name, of_metric in values.items():
                    of_metric.append(_short(scores[decoder][name][place]))
            cells[decoder].append(texts[key])
    return {
        "pieces": [piece for _, piece in pieces], "texts": listed, "cells": cells, "samples": kept, "made": samples,
        "scores": values, "shown_as": shown_as,
        "people": {
            name: [_short(value) for value in of_metric[: len(prepared)]]
            for name, of_metric in scores.get("human", {}).items()
            if not METRICS[name].against_human
        },
        "examples": [
            _example(row, tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))
            for row, ids in zip(prepared, prompts, strict=True)
        ],
    }  # fmt: skip


def _short(value: float) -> float | None:
    return float(f"{value:.3g}") if math.isfinite(value) else None


def _example(row: dict[str, Any], model_input: str) -> dict[str, Any]:
    return {"id": row["id"], "prompt": row["source"], "given": model_input, "references": row["references"]}


def first_rows(path: Path, count: int) -> Iterator[dict[str, Any]]:
    """The first texts of a cell's file, which may have a million more: those are not decoded."""
    batches = read_batches(path, COLUMNS, count)
    return islice((record for batch in batches for record in batch.to_pylist()), count)


def cut(piece: str) -> str:
    """A token that would fill the page is shown by its beginning and its length."""
    return piece if len(piece) <= LONGEST else f"{piece[:LONGEST]}… ({len(piece):,} characters)"
