"""What evaluation costs as a study grows: `python -m benchmarks.evaluation` writes `reports/evaluation.json`.

100 cells of made-up texts (words by Zipf's law, so that counts of n-grams behave as in real text) go through
every metric, the bootstrap and the comparison, for three numbers of texts per cell. The judge and the embedder
are left out: they score each distinct text once, at a speed that the stage shows.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.phases import Phases
from random_routing.comparison.task_comparison import Comparison
from random_routing.files import read_json, write_json
from random_routing.law.cells import Cell, Decoder, representatives
from random_routing.metrics import METRICS, CellTexts, metrics_of
from random_routing.scoring.cell_metrics import measure, task_resamples
from random_routing.scoring.statistics_file import write_stats
from random_routing.settings import Base, Route, load_settings

TASK, CELLS, SIZES = "dialogue", 100, (250, 500, 1000)
WORDS, VOCABULARY, DIMENSIONS = 40, 5000, 384


def main() -> None:
    if len(sys.argv) > 1:  # one size in its own process, so that the peak of memory is its own
        write_json(sys.argv[2], run(int(sys.argv[1])))
        return
    sizes = {}
    for size in SIZES:
        path = f"data/evaluation-{size}.json"
        subprocess.run([sys.executable, "-m", "benchmarks.evaluation", str(size), path], check=True)
        sizes[str(size)] = read_json(path)
    write_json("reports/evaluation.json", {"cells": CELLS, "sizes": sizes}, indent=2)
    print(table({"cells": CELLS, "sizes": sizes}))


def made_up(number: int, examples: int) -> CellTexts:
    """A cell of its own mix of words; embeddings near their example's reference."""
    draw, shared = (np.random.Generator(np.random.Philox(seed)) for seed in (number, 10**6))
    law = 1 / np.arange(1, VOCABULARY + 1) ** (0.8 + number / 300)
    ids = draw.choice(VOCABULARY, (examples, WORDS), p=law / law.sum())
    lengths = draw.integers(WORDS // 2, WORDS + 1, examples)
    rows = [row[:length].tolist() for row, length in zip(ids, lengths, strict=True)]
    reference = shared.normal(size=(examples, DIMENSIONS))
    near = reference + draw.normal(size=reference.shape) * (0.5 + number / 100)
    vectors = [(x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for x in (near, reference)]
    return CellTexts(
        texts=[" ".join(f"w{i}" for i in row) for row in rows], token_ids=rows,
        model_logprobs=[draw.normal(-3, 1, len(row)) for row in rows], example=np.arange(examples),
        examples=examples, references=[[" ".join(f"w{i}" for i in row[:20])] for row in ids.tolist()],
        judge_nll=lengths * 3.0, judge_tokens=lengths, text_embeddings=vectors[0],
        source_embeddings=vectors[1], reference_embeddings=vectors[1], human_nll=lengths * 3.1,
        human_tokens=lengths, vocabulary=VOCABULARY, order=shared.random(examples),
    )  # fmt: skip


def study() -> list[Cell]:
    """7 temperatures and 93 rates of uniform routing."""
    warm = [Cell(f"temperature-{t}", "temperature", Decoder(Base(temperature=t)), setting=t)
            for t in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)]  # fmt: skip
    rates = [i / 100 for i in range(1, CELLS - len(warm) + 1)]
    routed = [Cell(f"routing-{i}", "routing", Decoder(Base(), rate, 0.0, Route("uniform")), "v", rate, 0.0, rate)
              for i, rate in enumerate(rates, 1)]  # fmt: skip
    return warm + routed


def run(examples: int) -> dict[str, Any]:
    """Seconds of each part, and the peak of memory."""
    settings = load_settings()
    task = replace(settings.tasks[TASK], samples=1)
    cells, ids = study(), [f"{i:05}" for i in range(examples)]
    assert len(set(representatives(cells).values())) == CELLS
    texts = {
        cell.name: made_up(i, examples)
        for i, cell in enumerate([*cells, Cell("human", "", cells[0].decoder)])
    }
    seconds = Phases(time.perf_counter)
    metrics = [
        replace(metric, stats=seconds.timed(metric.name, metric.stats))
        for metric in metrics_of(TASK, METRICS)
    ]
    started = time.perf_counter()
    weights = task_resamples(settings, task, ids)
    with tqdm(total=CELLS, desc=f"{examples} texts per cell", unit="cell", mininterval=5) as bar:
        _, stats, _ = measure(settings, task, cells, texts, metrics, weights, bar.update)
    measured = time.perf_counter() - started
    compared = Comparison(settings, task, ids, cells, stats, METRICS)
    compared.result(
        weights, [task_resamples(settings, task, ids[half::2], f"half {half}") for half in (0, 1)]
    )
    write_stats(f"data/evaluation-{examples}.parquet", ids, stats)
    total = time.perf_counter() - started
    return {
        "seconds": total, "comparison": total - measured,
        "bootstrap": measured - sum(seconds.values()), "metrics": seconds,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }  # fmt: skip


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| texts | all | ms per text | bootstrap | comparison | slowest metrics | peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for size in sorted(result["sizes"], key=int):
        costs, texts = result["sizes"][size], int(size) * result["cells"]
        slowest = sorted(costs["metrics"].items(), key=lambda item: -item[1])[:3]
        named = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in slowest)
        lines.append(
            f"| {result['cells']} x {size} | {costs['seconds']:.0f} s | {1000 * costs['seconds'] / texts:.1f} | "
            f"{costs['bootstrap']:.0f} s | {costs['comparison']:.0f} s | {named} | {costs['peak_gib']:.1f} GiB |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
