"""Texts for the page: the pieces of each token with what is known of it, equal texts once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.decoding.cellfile import read_batches

MOST_TEXTS = 4000  # a task's, so that a page of many cells stays usable
COLUMNS = ("example_id", "sample", "token_ids", "routes", "model_logprobs", "ranks", "entropies")
MOST_SAMPLES = 2  # texts of one prompt
MOST_BYTES = 4  # of a character in UTF-8
LONGEST = 200  # characters of one token


def shown(asked: int, examples: int, decoders: int, samples: int) -> int:
    """How many examples the page holds the texts of."""
    return max(1, min(asked, examples, MOST_TEXTS // (decoders * min(samples, MOST_SAMPLES))))


def task_samples(
    folder: Path,
    decoders: Sequence[str],
    prepared: Sequence[dict[str, Any]],
    samples: int,
    decode: Callable[[list[int]], str],
) -> dict[str, Any]:
    """Contents of the page's sample browser for one task.

    folder: of the cells' files; prepared: the examples to be shown, the first of the file; decode: token ids →
    text. A token's piece is listed once; a text is [piece numbers, log-probabilities × 100, ranks, routes,
    entropies × 100].
    """
    pieces: dict[tuple[int, str], int] = {}  # two tokens may look alike, and still are where texts part
    texts: dict[tuple[Any, ...], int] = {}  # equal texts of one example: probabilities are its own
    listed: list[list[Any]] = []
    cells: dict[str, list[int]] = {}
    kept = min(samples, MOST_SAMPLES)
    for decoder in decoders:
        cells[decoder] = []
        for record in first_rows(folder / f"{decoder}.parquet", len(prepared) * samples):
            if record["sample"] >= kept:
                continue
            ids = record["token_ids"]
            key = (record["example_id"], *ids, -1, *record["routes"])
            if key not in texts:
                texts[key] = len(listed)
                named = zip(ids, map(cut, pieces_of(ids, decode)), strict=True)
                own = [pieces.setdefault(token, len(pieces)) for token in named]
                hundredths = [
                    [round(100 * x) for x in record[name]] for name in ("model_logprobs", "entropies")
                ]
                listed.append([own, hundredths[0], record["ranks"], record["routes"], hundredths[1]])
            cells[decoder].append(texts[key])
    return {
        "pieces": [piece for _, piece in pieces], "texts": listed, "cells": cells, "samples": kept, "made": samples,
        "examples": [
            {"id": row["id"], "prompt": row["source"], "references": row["references"]} for row in prepared
        ],
    }  # fmt: skip


def first_rows(path: Path, count: int) -> Iterator[dict[str, Any]]:
    """The first texts of a cell's file, which may have a million more: those are not decoded."""
    batches = read_batches(path, COLUMNS, count)
    return islice((record for batch in batches for record in batch.to_pylist()), count)


def pieces_of(ids: Sequence[int], decode: Callable[[list[int]], str]) -> list[str]:
    """What each token adds to the text; the first bytes of a character that takes several tokens add nothing."""
    found, before, held = [], "", 0
    for i in range(len(ids)):
        text = decode(list(ids[: i + 1]))
        if text.endswith("\ufffd") and i + 1 < len(ids) and held < MOST_BYTES - 1:
            held += 1
            found.append("")
            continue
        kept = next((n for n in range(len(before), 0, -1) if text.startswith(before[:n])), 0)
        found.append(text[kept:])  # a decoder may change its mind about broken bytes
        before, held = text, 0
    return found


def cut(piece: str) -> str:
    """A token that would fill the page is shown by its beginning and its length."""
    return piece if len(piece) <= LONGEST else f"{piece[:LONGEST]}… ({len(piece):,} characters)"
