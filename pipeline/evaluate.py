"""Stage evaluate: metrics of every cell of a task → `data/metrics/<task>.json`, `<task>.stats.parquet`."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

from pipeline import stage
from pipeline.checks import PipelineError, choice
from pipeline.cost import write_cost
from pipeline.decoding.compute import loader
from pipeline.decoding.execute import executor_of
from pipeline.decoding.model import load_tokenizer
from pipeline.decoding.numerics import numerics
from pipeline.decoding.plan import Plan
from pipeline.decoding.pooling import read_embedding
from pipeline.decoding.prepared import Prepared
from pipeline.decoding.recheck import recheck
from pipeline.decoding.roles import check_roles
from pipeline.decoding.size import say_size
from pipeline.decoding.store import Store, open_store
from pipeline.events import events
from pipeline.files import read_json, read_jsonl, sealed, write_json
from pipeline.metrics import METRICS, CellTexts
from pipeline.metrics.celltexts import human_texts, read_texts, text_order
from pipeline.metrics.collect import Judge, add_embeddings, add_judge
from pipeline.metrics.comparison import Comparison
from pipeline.metrics.embedding import Embeddings
from pipeline.metrics.likelihood import HumanProbabilities, human_likelihood, human_probabilities
from pipeline.metrics.measure import measure, task_resamples, without_nan
from pipeline.metrics.portions import Lazy
from pipeline.metrics.recovery import Judged, recovery
from pipeline.metrics.routing import gate_rates, identity
from pipeline.metrics.statfile import write_stats
from pipeline.progress import Progress
from pipeline.routing.cells import Cell, all_cells
from pipeline.settings import METRIC_TASKS, Settings, Task, load_settings


def main(argv: list[str]) -> None:
    settings = load_settings()
    task = settings.tasks[choice("evaluate", stage.argument(argv, "a task"), settings.tasks)]
    check_roles(settings, task)
    rows = read_jsonl(f"data/prepared/{task.name}.jsonl")
    for row in rows:
        if not row["references"]:
            raise PipelineError(f"data/prepared/{task.name}.jsonl: example {row['id']} has no references")
    cells = all_cells(settings, task)
    tokenizer = load_tokenizer(Path("data/assets") / task.model)
    ids = [row["id"] for row in rows]
    weights = task_resamples(settings, task, ids)
    texts = task_texts(settings, task, rows, cells, tokenizer)
    plan = Prepared(settings, task, rows, Path("data/assets") / task.model, tokenizer).plan(cells)
    metrics = [METRICS[name] for name in settings.metrics if task.name in METRIC_TASKS[name]]
    with open_store("evaluate") as store:
        say_size("evaluate", settings, task, (len(cells) * task.samples + 1) * len(rows))
        judge, judged = Judge(settings, task), Progress(f"{task.name}, judge", "tok")
        with judged as show:
            scored, work = add_judge(judge, rows, texts, store, show, execute=executor_of(settings))
        people = probabilities(settings, task, plan, store)
        likelihood = human_likelihood(people, plan, texts["human"], weights, settings)
        with Progress(f"{task.name}, embeddings", "text") as show:
            embeddings = Embeddings(settings, store, show)
            whole = add_embeddings(rows, scored, embeddings)
        with Progress(f"{task.name}, metrics", "cell") as show:
            counter = iter(range(1, len(cells) + 1))
            result, stats = measure(
                settings, task, ids, cells, whole, metrics, weights,
                lambda: show(next(counter), len(cells)), judge.opening.name,
                read_embedding(embeddings.folder).signature,
            )  # fmt: skip
        before = [plan.before(example) for example in plan.examples]
        by_token = Judged(tokenizer, judge.tokenizer, judge.kind, before)
        again = chain(
            judge.remade(store, executor_of(settings)),
            people.remade(settings.batch_size),
            embeddings.remade(),
        )
        checked = recheck(f"evaluate {task.name}", store, again)
        result["recovery"] = recovery(cells, scored, by_token, weights, settings.confidence)
    result["identity"] = identity(settings, cells, texts)
    result["gates"] = gate_rates(settings.variants, cells, texts, task.max_new_tokens, settings.confidence)
    result["likelihood"] = likelihood
    compared = Comparison(
        settings, task, ids, [cell for cell in cells if cell.name in stats], stats, METRICS
    )
    halves = task_resamples(settings, task, sorted(ids)[1::2], "half")
    result["comparison"] = compared.result(weights, halves)
    stored = Path(f"data/metrics/{task.name}.stats.parquet")
    write_stats(stored, ids, stats)
    write_json(f"data/metrics/{task.name}.json", sealed(without_nan(result)))
    with events(settings, "evaluate", task.name) as log:
        for record in result["cells"]:
            for name, found in record["metrics"].items():
                if "missing" not in found:
                    log(f"{name}/{record['cell']}", found["value"], 0)
    write_cost("evaluate", task.name, work, judged.seconds, settings.dtype, stored, checked)
    stage.say(
        "evaluate",
        f"{task.name}: {len(metrics)} metrics of {len(cells)} cells and the human texts "
        f"in data/metrics/{task.name}.json; judge: {judged.summary()}; "
        f"{checked} values made again, with the same bits",
    )


def task_texts(
    settings: Settings, task: Task, rows: list[dict[str, Any]], cells: list[Cell], tokenizer: Any
) -> Lazy:
    """Cell, and "human" → its texts, read from its file whenever they are asked for."""
    order = text_order(settings, task, rows, task.samples)
    human = human_texts(task, rows, tokenizer, text_order(settings, task, rows, 1))

    def read(name: str) -> CellTexts:
        return human if name == "human" else read_texts(task, name, rows, len(tokenizer), order)

    return Lazy([*(cell.name for cell in cells), "human"], read)


def probabilities(settings: Settings, task: Task, plan: Plan, store: Store) -> HumanProbabilities:
    """Of people's texts under the laws of the grid, by the generator."""
    folder = Path("data/assets") / task.model
    address = {
        "model": read_json(folder / "asset.json")["files"],
        "dtype": settings.dtype,
        "device": settings.device,
        "numerics": numerics(settings.device),
    }
    return human_probabilities(loader(settings, task, folder), address, plan, settings, store)


if __name__ == "__main__":
    stage.run(main)
