"""Stage evaluate: metrics of every cell of a task → `data/metrics/<task>.json`, `.stats.parquet`, `.texts.parquet`."""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline import stage
from random_routing.comparison.task_comparison import CONTROLS, Comparison
from random_routing.decode.row_counts import Work
from random_routing.errors import PipelineError
from random_routing.files import asset_files, read_jsonl
from random_routing.law.cells import Cell, all_cells
from random_routing.metrics import METRICS, CellTexts, metrics_of
from random_routing.metrics.helpers.portions import Lazy
from random_routing.models.folder import load_tokenizer
from random_routing.models.numerics import arithmetic
from random_routing.models.roles import check_roles
from random_routing.models.served import NOT_GUARANTEED
from random_routing.progress import Progress, say
from random_routing.results.measured import Measured, write_measured
from random_routing.results.text_scores import write_scores
from random_routing.runs.cost import write_cost
from random_routing.runs.executors import executor_of
from random_routing.runs.forecast import say_scores
from random_routing.runs.generation import generator_loader
from random_routing.runs.machine import on_this_machine
from random_routing.runs.make_plan import Prepared
from random_routing.runs.plan import Plan
from random_routing.runs.recheck import recheck
from random_routing.runs.store import Store, open_store
from random_routing.runs.tensorboard import events
from random_routing.scoring.add_scores import Judge, add_embeddings, add_judge, embeddings_of
from random_routing.scoring.cell_metrics import describe, half_resamples, measure, task_resamples
from random_routing.scoring.cell_texts import human_texts, read_texts, text_order
from random_routing.scoring.controls import controls
from random_routing.scoring.gate_rates import gate_rates, identity
from random_routing.scoring.likelihood import HumanProbabilities, human_likelihood, human_probabilities
from random_routing.scoring.recovery import Judged, recovery
from random_routing.scoring.statistics_file import write_stats
from random_routing.settings import Settings, Task, load_settings
from random_routing.settings.checks import choice


def main(argv: list[str]) -> None:
    settings = load_settings(metrics=METRICS)
    task = settings.tasks[choice("evaluate", stage.argument(argv, "a task"), settings.tasks)]
    settings = on_this_machine(settings, task)
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
    metrics = metrics_of(task.kind, settings.metrics)
    with open_store("evaluate") as store:
        judge, judged = Judge(settings, task), Progress(f"{task.name}, judge", "tok")
        reads = any(metric.reads("judge") for metric in metrics)
        scored, work = texts, Work()
        if reads:
            with judged as show:
                begin = partial(say_scores, settings, task, (len(cells) * task.samples + 1) * len(rows))
                scored, work = add_judge(judge, rows, texts, store, show, executor_of(settings), begin)
        people = probabilities(settings, task, plan, store)
        likelihood = human_likelihood(people, plan, texts["human"], weights, settings)
        with Progress(f"{task.name}, embeddings", "text") as show:
            embeddings = embeddings_of(settings, task, store, show)
            embeds = any(metric.reads("embedder") for metric in metrics)
            whole = add_embeddings(rows, scored, embeddings) if embeds else scored
        with Progress(f"{task.name}, metrics", "cell") as show:
            counter = iter(range(1, len(cells) + 1))
            values, stats, scores = measure(
                settings, task, cells, whole, metrics, weights, lambda: show(next(counter), len(cells))
            )
        before = [plan.before(example) for example in plan.examples]
        by_token = Judged(tokenizer, judge.tokenizer, judge.kind, before)
        again = chain(
            judge.remade(store, executor_of(settings)),
            people.remade(settings.batch_size),
            embeddings.remade(),
        )
        checked = recheck(f"evaluate {task.name}", store, again)
        after_random = recovery(cells, scored, by_token, weights, settings.confidence) if reads else []
    decoders = [cell for cell in cells if cell.name in stats]
    for one in decoders:
        stats[one.name][CONTROLS] = controls(texts[one.name], one.decoder, task.max_new_tokens)
    compared = Comparison(settings, task, ids, decoders, stats, METRICS)
    measured = Measured(
        task=task.name,
        examples=ids,
        metrics=describe(
            settings, task, metrics, judge.opening.name, embeddings.name, embeddings.signature
        ),
        cells=values,
        recovery=after_random,
        identity=identity(settings, cells, texts),
        gates=gate_rates(settings.variants, cells, texts, task.max_new_tokens, settings.confidence),
        likelihood=likelihood,
        comparison=compared.result(weights, half_resamples(settings, task, ids)),
        not_guaranteed=tuple(NOT_GUARANTEED.values()) if plan.served else (),
    )
    stored = Path(f"data/metrics/{task.name}.stats.parquet")
    write_stats(stored, ids, stats)
    write_scores(f"data/metrics/{task.name}.texts.parquet", ids, scores)
    write_measured(measured)
    with events(settings, "evaluate", task.name) as log:
        for cell in measured.cells:
            for name, value in cell.metrics.items():
                if not value.missing:
                    log(f"{name}/{cell.cell}", value.value, 0)
    write_cost("evaluate", task.name, work, judged.seconds, settings.dtype, stored, checked)
    say(
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
    address = {"model": asset_files(folder), **arithmetic(settings.dtype, settings.device)}
    return human_probabilities(generator_loader(settings, task, folder), address, plan, settings, store)


if __name__ == "__main__":
    stage.run(main)
