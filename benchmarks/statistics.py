"""Do the statistics tell the truth? `python -m benchmarks.statistics` writes `reports/statistics.json`.

A pool of real texts is made (open-ended text, a few decoders), and studies of a few examples are drawn
from it many times over, so that the truth is known:

- A against A: two seeds of one decoder, swapped at random in every example, so that their difference is 0
  by construction: a test at 5 % should reject in 5 % of the studies.
- Coverage: a 95 % interval should hold the mean over all studies of its size in 95 % of them; of values,
  of paired differences, and of matched differences from the temperature curve.
- Common noise: how much narrower paired intervals are when cells share their noise.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.workload import ASSETS, prepared, settings_on_cpu
from random_routing.comparison.curves import Curve, Point, matched_difference
from random_routing.files import write_json
from random_routing.law.cells import Cell, Decoder
from random_routing.metrics import METRICS, CellTexts
from random_routing.resampling.intervals import Sampled, resampled
from random_routing.resampling.weights import resample_weights
from random_routing.runs.generation import compute, missing_texts
from random_routing.runs.make_plan import Prepared
from random_routing.runs.packed_texts import unpack
from random_routing.runs.store import Store
from random_routing.settings import Base, Route

TASK, POOL, STUDIES, RESAMPLES, CONFIDENCE = "textgen", 1000, 1000, 1000, 0.95
SIZES = (32, 100)
MEASURED = ("ead_2", "distinct_2", "entropy_2", "generator_perplexity", "seq_rep_4")
CELLS = (
    Cell("temperature-0.7", "temperature", Decoder(Base(temperature=0.7))),
    Cell("temperature-0.85", "temperature", Decoder(Base(temperature=0.85))),
    Cell("temperature-1", "temperature", Decoder(Base())),
    Cell("uniform-0.03", "routing", Decoder(Base(), 0.03, 0.0, Route("uniform"))),
)
PLAIN, OTHER, ROUTED = "temperature-1", "temperature-1, another seed", "uniform-0.03"


def main() -> None:
    store = Store(Path(sys.argv[1] if len(sys.argv) > 1 else "data/statistics.sqlite"))
    pool = {**make_pool(0, CELLS, store), OTHER: make_pool(1, CELLS[2:3], store)[PLAIN]}
    result: dict[str, Any] = {
        "pool": POOL, "studies": STUDIES, "resamples": RESAMPLES, "task": TASK,
        "sizes": {str(size): simulate(pool, size) for size in SIZES},
    }  # fmt: skip
    write_json("reports/statistics.json", result, indent=2)
    print(table(result))


def make_pool(seed: int, cells: tuple[Cell, ...], store: Store) -> dict[str, CellTexts]:
    """Cell → texts of all examples of the pool; those in the store are not made again."""
    settings = settings_on_cpu()
    settings = replace(settings, seed=settings.seed + seed)
    task = replace(settings.tasks[TASK], examples=POOL, samples=1)
    tokenizer, rows = prepared(TASK, POOL)
    folder = ASSETS / task.model
    plan = Prepared(settings, task, rows, folder, tokenizer).plan(list(cells))
    compute(settings, plan, lambda: missing_texts(plan, store), folder, store, lambda *event: None)
    pool = {}
    for cell in cells:
        of_cell = plan.texts_of(plan.job_of(cell))
        values = store.get([text.key for text in of_cell])
        pool[cell.name] = as_texts([unpack(values[text.key]) for text in of_cell], tokenizer)
    return pool


def as_texts(trajectories: list[Any], tokenizer: Any) -> CellTexts:
    nothing, count = np.empty(0), len(trajectories)
    ids = [trajectory.token_ids.tolist() for trajectory in trajectories]
    return CellTexts(
        texts=tokenizer.batch_decode(ids, skip_special_tokens=True), token_ids=ids,
        model_logprobs=[trajectory.model_logprobs for trajectory in trajectories],
        example=np.arange(count), examples=count, references=[[] for _ in ids], judge_nll=nothing,
        judge_tokens=nothing, text_embeddings=nothing, source_embeddings=nothing,
        reference_embeddings=nothing, vocabulary=len(tokenizer),
    )  # fmt: skip


def subset(cells: list[CellTexts], examples: np.ndarray) -> CellTexts:
    """A study: text i is that of example examples[i] in cells[i]."""
    pairs = list(zip(cells, examples.tolist(), strict=True))
    return replace(
        cells[0],
        texts=[cell.texts[i] for cell, i in pairs],
        token_ids=[cell.token_ids[i] for cell, i in pairs],
        model_logprobs=[cell.model_logprobs[i] for cell, i in pairs],
        example=np.arange(len(pairs)),
        examples=len(pairs),
    )


def simulate(pool: dict[str, CellTexts], size: int) -> dict[str, Any]:
    """All studies of one size: metric → rates."""
    random = np.random.Generator(np.random.Philox(size))
    drawn: dict[str, dict[str, list[Sampled]]] = {name: {} for name in MEASURED}
    matched: list[Sampled] = []
    for study in tqdm(range(STUDIES), desc=f"studies of {size}", mininterval=5):
        examples = random.choice(POOL, size, replace=False)
        swap = random.random(size) < 0.5
        weights = resample_weights(size, RESAMPLES, study)
        cells = {name: subset([cell] * size, examples) for name, cell in pool.items()}
        cells["A"] = subset([pool[OTHER if s else PLAIN] for s in swap], examples)
        cells["B"] = subset([pool[PLAIN if s else OTHER] for s in swap], examples)
        value = {
            (name, metric): resampled(METRICS[metric].stats(cell), weights, METRICS[metric].aggregate)
            for name, cell in cells.items()
            for metric in MEASURED
        }
        for metric, kinds in drawn.items():
            kinds.setdefault("value", []).append(value[PLAIN, metric])
            kinds.setdefault("difference", []).append(value[ROUTED, metric] - value[PLAIN, metric])
            kinds.setdefault("unpaired", []).append(value[ROUTED, metric] - value[OTHER, metric])
            kinds.setdefault("a_a", []).append(value["A", metric] - value["B", metric])
        points = {name: Point(value[name, "ead_2"], -value[name, "generator_perplexity"]) for name in pool}
        curve = Curve.of({0.7: points["temperature-0.7"], 1.0: points[PLAIN]})
        difference = matched_difference(points["temperature-0.85"], curve).value
        matched += [difference] if difference else []
    metrics = {
        metric: {
            "a_a_rejected": float(np.mean([s.p_value() < 1 - CONFIDENCE for s in kinds["a_a"]])),
            "value_covered": covered(kinds["value"]),
            "difference_covered": covered(kinds["difference"]),
            "common_noise_width": widths(kinds["difference"]) / widths(kinds["unpaired"]),
        }
        for metric, kinds in drawn.items()
    }
    return {"metrics": metrics, "matched_covered": covered(matched), "matched_studies": len(matched)}


def covered(estimates: list[Sampled]) -> float:
    """Share of the intervals that hold the mean over all studies."""
    truth = float(np.mean([estimate.value for estimate in estimates]))
    ends = [estimate.interval(CONFIDENCE) for estimate in estimates]
    return float(np.mean([low <= truth <= high for low, high in ends]))


def widths(estimates: list[Sampled]) -> float:
    ends = [estimate.interval(CONFIDENCE) for estimate in estimates]
    return float(np.median([high - low for low, high in ends]))


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| examples | metric | A/A rejected | value covered | difference covered | width with common noise |",
        "|---|---|---|---|---|---|",
    ]
    for size in sorted(result["sizes"], key=int):
        of_size = result["sizes"][size]
        for name in MEASURED:
            rates = of_size["metrics"][name]
            lines.append(
                f"| {size} | {name} | {rates['a_a_rejected']:.1%} | {rates['value_covered']:.1%} | "
                f"{rates['difference_covered']:.1%} | {rates['common_noise_width']:.2f} |"
            )
        lines.append(f"| {size} | matched difference | | | {of_size['matched_covered']:.1%} | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
