"""The same texts scored 50 times: quiet, beside busy processes, in other batches, in other memory. 0 bits may differ.

`python -m benchmarks.repeat [scorings of each kind]` writes `reports/repeat.json`; about half an hour on two cores.
A text is the first tokens of a reply, after its whole context.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.workload import settings_on_cpu
from random_routing.files import read_jsonl, write_json
from random_routing.models.network import LanguageModel
from random_routing.models.numerics import numerics
from random_routing.runs.cost import machine
from random_routing.runs.tokenized import by_padded_length
from random_routing.scoring.add_scores import Judge
from random_routing.scoring.judge import Scored, score_unit

TASK, TEXTS, TOKENS, BUSY = "dialogue", 260, 8, 2  # tokens of a text, at most
SCORINGS = {"quiet": 20, "busy": 10, "batches": 10, "memory": 10}
BATCHES = (16, 24, 37, 50, 64, 100, 128, 200, 255, 512)


def main(argv: list[str]) -> None:
    settings = settings_on_cpu()
    judge = Judge(settings, settings.tasks[TASK])
    model, pairs = judge.model, texts(judge)
    first = bits(model, pairs, settings.batch_size)
    kinds: dict[str, Any] = {}
    for kind, count in SCORINGS.items():
        differing, seconds = 0, []
        with CONDITIONS[kind]():
            for number in range(int(argv[0]) if argv else count):
                rows = BATCHES[number % len(BATCHES)] if kind == "batches" else settings.batch_size
                began = time.perf_counter()
                again = bits(model, shuffled(pairs, number), rows)
                seconds.append(time.perf_counter() - began)
                differing += sum(
                    bin(a ^ b).count("1") for pair in pairs for a, b in both(first[pair], again[pair])
                )
        kinds[kind] = {
            "scorings": len(seconds),
            "differing_bits": differing,
            "seconds": float(np.median(seconds)),
        }
        print(kind, kinds[kind], flush=True)
    write_json(
        "reports/repeat.json",
        {
            "judge": settings.tasks[TASK].judge, "task": TASK, "texts": len(pairs), "dtype": settings.dtype,
            "tokens": sum(len(pair.text) for pair in pairs), "machine": machine(),
            "numerics": numerics(settings.device), "kinds": kinds,
        },
        indent=1,
    )  # fmt: skip


def texts(judge: Judge) -> list[Scored]:
    """Each context with people's replies to it and to the next ones, until there are `TEXTS`."""
    rows = read_jsonl(f"data/prepared/{TASK}.jsonl")
    turns = -(-TEXTS // len(rows))
    pairs = [
        pair
        for turn in range(turns)
        for pair in judge.pairs(
            rows, [rows[(i + turn) % len(rows)]["references"][0] for i in range(len(rows))]
        )
    ]
    return [replace(pair, text=pair.text[:TOKENS]) for pair in pairs[:TEXTS]]


def shuffled(pairs: list[Scored], seed: int) -> list[Scored]:
    return random.Random(seed).sample(pairs, len(pairs))


def bits(model: LanguageModel, pairs: list[Scored], rows: int) -> dict[Scored, np.ndarray]:
    scores: dict[Scored, np.ndarray] = {}
    for group in by_padded_length(pairs, lambda pair: len(pair.context)):
        scores |= score_unit(model, group, lambda count: None, batch_size=rows)[0]
    return scores


def both(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[int, int]]:
    return zip(first.view(np.uint32).tolist(), second.view(np.uint32).tolist(), strict=True)


@contextmanager
def quiet() -> Iterator[None]:
    yield


@contextmanager
def busy() -> Iterator[None]:
    """Beside two processes that do nothing but count."""
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=spin, daemon=True) for _ in range(BUSY)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


def spin() -> None:
    while True:
        pass


@contextmanager
def fragmented() -> Iterator[None]:
    """Beside thousands of blocks of odd sizes, every other one freed again, so that new arrays lie anywhere."""
    draw = random.Random(0)
    blocks = [torch.empty(draw.randrange(1, 1 << draw.randrange(4, 20))) for _ in range(20_000)]
    del blocks[::2]
    yield
    del blocks


CONDITIONS: dict[str, Callable[[], Any]] = {
    "quiet": quiet,
    "busy": busy,
    "batches": quiet,
    "memory": fragmented,
}

if __name__ == "__main__":
    main(sys.argv[1:])
