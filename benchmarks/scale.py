"""A million texts on one core: `python -m benchmarks.scale` writes `reports/scale.json`.

Made-up texts (words by Zipf's law, each a damaged copy of its reference) are written as `generate` writes them,
a row group at a time, then read, counted and resampled as `evaluate` does it: 10 cells of 100,000 texts, and one
of a million. Judge and embedder are left out: their cost is a model's, a portion of texts at a time. Writing and
evaluation run in a process each, so that the peaks of memory are their own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.phases import Phases
from random_routing.files import read_json, read_jsonl, write_json, write_jsonl
from random_routing.law.cells import Cell, Decoder
from random_routing.metrics import METRICS
from random_routing.metrics.helpers.portions import Lazy
from random_routing.metrics.metric import CellTexts
from random_routing.results.json_form import to_json
from random_routing.runs.cell_files import write_cell
from random_routing.scoring.cell_metrics import measure, task_resamples
from random_routing.scoring.cell_texts import read_texts, text_order
from random_routing.scoring.statistics_file import write_stats
from random_routing.settings import Base, Settings, load_settings

STUDIES = ((10, 100_000), (1, 1_000_000))  # cells, texts per cell
RESAMPLES, GROUP = 1000, 10_000  # resamples of the bootstrap; texts of a row group
VOCABULARY, SHORTEST, LONGEST = 50_000, 20, 48  # words; words of a text
NAMES = ("length", "distinct_1", "distinct_2", "ead_2", "entropy_2", "bleu")
TASK, HUMAN = "translation", "human"


def main() -> None:
    if len(sys.argv) > 1:
        child(*sys.argv[1:])
        return
    costs = {}
    for cells, texts in STUDIES:
        with tempfile.TemporaryDirectory() as folder:
            costs[f"{cells} x {texts}"] = study(Path(folder), cells, texts, RESAMPLES)
        print(table(costs), flush=True)
    write_json("reports/scale.json", {"resamples": RESAMPLES, "metrics": NAMES, "studies": costs}, indent=2)


def study(
    folder: Path, cells: int, texts: int, resamples: int, names: Sequence[str] = NAMES
) -> dict[str, Any]:
    """Write and evaluate in a process each: seconds, peaks and what is on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    root, numbers = str(Path(__file__).parents[1]), map(str, (cells, texts, resamples))
    one_core = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = [str(folder), *numbers, ",".join(names)]
    for what in ("write", "evaluate"):
        subprocess.run(
            [sys.executable, "-m", "benchmarks.scale", what, *arguments], check=True, cwd=root, env=one_core
        )
    written = list((folder / "data/generations" / TASK).iterdir())
    return {
        "write": read_json(folder / "write.json"), "evaluate": read_json(folder / "evaluate.json"),
        "generations_mib": sum(path.stat().st_size for path in written) / 2**20,
        "stats_mib": (folder / "stats.parquet").stat().st_size / 2**20,
    }  # fmt: skip


def child(
    what: str, folder: str, cells: str, texts: str, resamples: str, names: str = ",".join(NAMES)
) -> None:
    settings = replace(load_settings(), resamples=int(resamples))
    os.chdir(folder)
    started = time.perf_counter()
    call = write if what == "write" else evaluate
    seconds = call(settings, int(cells), int(texts), names.split(","))
    write_json(f"{what}.json", {
        "seconds": time.perf_counter() - started, "cpu_seconds": time.process_time(), "phases": seconds,
        "peak_gib": peak_gib(),
    })  # fmt: skip


def peak_gib() -> float:
    """Of this process alone: what `resource` tells may be that of the process which started it."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) / 2**20


def grid(cells: int) -> list[Cell]:
    return [Cell(f"cell-{i}", "temperature", Decoder(Base(temperature=1 + i / 100))) for i in range(cells)]


def word(rank: int) -> str:
    """Syllables, more of them the rarer the word is."""
    text = ""
    while not text or rank:
        rank, syllable = divmod(rank, 80)
        text += "bcdfghklmnprstvz"[syllable % 16] + "aeiou"[syllable // 16]
    return text


WORDS = [word(rank) for rank in range(VOCABULARY)]


def drawn(noise: np.random.Generator, size: int) -> np.ndarray:
    """(size,) ranks by Zipf's law."""
    law = np.cumsum(1 / np.arange(1, VOCABULARY + 1))
    return np.searchsorted(law, noise.random(size) * law[-1])


def group(number: int, start: int, count: int) -> list[np.ndarray]:
    """Word ranks of a cell's texts start … start + count; number 0: the references, which others damage."""
    shared = np.random.Generator(np.random.Philox(key=[0, start]))
    lengths = shared.integers(SHORTEST, LONGEST + 1, count)
    ranks = drawn(shared, int(lengths.sum()))
    if number:
        noise = np.random.Generator(np.random.Philox(key=[number, start]))
        ranks = np.where(noise.random(len(ranks)) < 0.3, drawn(noise, len(ranks)), ranks)
    return np.split(ranks, np.cumsum(lengths)[:-1])


def row(example: int, ranks: np.ndarray) -> dict[str, Any]:
    logs = -np.log1p(ranks)
    return {
        "example_id": f"e{example:07}", "sample": 0, "text": " ".join([WORDS[i] for i in ranks.tolist()]),
        "token_ids": ranks, "routes": ranks % 8 == 1, "logprobs": logs, "model_logprobs": logs, "ranks": ranks,
        "entropies": -logs, "finish": "length",
    }  # fmt: skip


def groups(number: int, texts: int) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, texts, GROUP):
        batch = group(number, start, min(GROUP, texts - start))
        yield [row(start + i, ranks) for i, ranks in enumerate(batch)]


def write(settings: Settings, cells: int, texts: int, names: Sequence[str]) -> dict[str, float]:
    """The cells' files, the human texts as one of them, and the prepared examples with their references."""
    folder = Path("data/generations") / TASK
    for number, name in enumerate([HUMAN, *(cell.name for cell in grid(cells))]):
        write_cell(folder / f"{name}.parquet", groups(number, texts), {"cell": name})
    rows = (record for batch in groups(0, texts) for record in batch)
    prepared = [
        {"id": record["example_id"], "source": "", "references": [record["text"]]} for record in rows
    ]
    write_jsonl(f"data/prepared/{TASK}.jsonl", prepared)
    return {}


def evaluate(settings: Settings, cells: int, texts: int, names: Sequence[str]) -> dict[str, float]:
    """CPU seconds of each phase of what the stage evaluate does with these metrics."""
    seconds = Phases(time.process_time)
    timed = seconds.timed
    task = replace(settings.tasks[TASK], samples=1)
    rows = timed("prepared", read_jsonl)(f"data/prepared/{TASK}.jsonl")
    order = timed("order", text_order)(settings, task, rows, 1)

    def read(name: str) -> CellTexts:
        cell = read_texts(task, name, rows, VOCABULARY, order)
        timed("words", lambda: cell.word_ids)()  # counted once for all metrics of words
        return cell

    of_grid, ids = grid(cells), [record["id"] for record in rows]
    lazy = Lazy([HUMAN, *(cell.name for cell in of_grid)], timed("read", read))
    metrics = [replace(METRICS[name], stats=timed(name, METRICS[name].stats)) for name in names]
    weights = timed("weights", task_resamples)(settings, task, ids)
    started = time.process_time()
    before = sum(seconds.values())
    values, stats, _ = measure(settings, task, of_grid, lazy, metrics, weights)
    words = seconds["words"]
    seconds["read"] -= words
    seconds["bootstrap"] = time.process_time() - started - (sum(seconds.values()) - before)
    timed("stats file", write_stats)("stats.parquet", ids, stats)
    write_json("result.json", to_json(values))
    return seconds


def table(studies: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| cells x texts | phase | seconds | of one core | peak memory | on disk |",
        "|---|---|---|---|---|---|",
    ]
    for name, costs in studies.items():
        spent = costs["evaluate"]
        phases = ", ".join(f"{phase} {seconds:.0f}" for phase, seconds in spent["phases"].items())
        for phase, part, disk in (
            ("write", costs["write"], costs["generations_mib"]),
            (f"evaluate ({phases})", spent, costs["stats_mib"]),
        ):
            lines.append(
                f"| {name} | {phase} | {part['seconds']:.0f} | {part['cpu_seconds']:.0f} | "
                f"{part['peak_gib']:.1f} GiB | {disk:.0f} MiB |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
