"""Stage plot: metrics and texts → figures in `reports/plots/` and the page `reports/index.html`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pipeline import stage
from random_routing.files import read_jsonl, write_text
from random_routing.metrics import METRICS
from random_routing.models.folder import load_tokenizer
from random_routing.progress import say
from random_routing.report.figures import (
    curves,
    gates_and_recovery,
    heatmap,
    likelihood,
    matched,
    plane,
    style,
    tuning,
)
from random_routing.report.input import Results, read_results
from random_routing.report.page.about import about
from random_routing.report.page.build import page
from random_routing.report.page.samples import shown, task_samples
from random_routing.results.measured import Measured
from random_routing.runs.cost import read_costs
from random_routing.runs.make_plan import Prepared
from random_routing.settings import Settings, Task, load_settings

FOLDER = Path("reports/plots")
PAGE = Path("reports/index.html")
OF_METRICS: dict[str, Callable[[Measured, Settings], Figure | None]] = {
    "heatmap": heatmap.draw,
    "plane": plane.draw,
    "rate": curves.draw,
}


def main(argv: list[str]) -> None:
    settings = load_settings(metrics=METRICS)
    results = read_results(settings.tasks)
    say("plot", f"{figures(settings, results)} figures in {FOLDER}")
    html = whole_page(settings, results)
    write_text(PAGE, html)
    say("plot", f"{PAGE}, {len(html.encode()) / 2**20:.1f} MiB")


def figures(settings: Settings, results: dict[str, Results]) -> int:
    """Draw the figures of all tasks; returns how many."""
    written = 0
    with fresh_folder(FOLDER) as folder, style.looks():
        for task, of_task in results.items():
            measured = of_task.measured
            drawn = {name: draw(measured, settings) for name, draw in OF_METRICS.items()}
            for name in (name for name, figure in drawn.items() if figure is None):
                say("plot", f"{task}-{name} left out: the table lacks the metrics it shows")
            drawn |= {
                "routing": gates_and_recovery.draw(measured.gates, measured.recovery, settings.variants),
                "matched": matched.draw(measured, settings),
                "likelihood": likelihood.draw(measured, settings),
                "tune": tuning.draw(of_task.tuned),
            }
            for name, figure in drawn.items():
                if figure is not None:
                    style.save(figure, folder / f"{task}-{name}")
                    written += 1
    return written


def whole_page(settings: Settings, results: dict[str, Results]) -> str:
    samples = {
        task: texts_of(settings, settings.tasks[task], result.measured) for task, result in results.items()
    }
    costs = {task: [asdict(cost) for cost in read_costs(task)] for task in results}
    return page(settings, results, samples, costs, about(settings))


def texts_of(settings: Settings, task: Task, measured: Measured) -> dict[str, Any]:
    model = Path("data/assets") / task.model
    tokenizer = load_tokenizer(model, task.source_code)
    rows = read_jsonl(f"data/prepared/{task.name}.jsonl")
    decoders = list(dict.fromkeys(cell.decoder for cell in measured.cells if cell.family != "human"))
    rows = rows[: shown(settings.page_examples, len(rows), len(decoders), task.samples)]
    prepared = Prepared(settings, task, rows, model, tokenizer)
    prompts = [example.prompt for example in prepared.examples]
    follow = not prepared.shape.is_encoder_decoder
    folder = Path("data/generations") / task.name
    return task_samples(folder, decoders, rows, task.samples, tokenizer, prompts, follow)


@contextmanager
def fresh_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` if the block ends well.

    So figures of tasks that are gone do not stay, and a failed run leaves the old ones.
    """
    new = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


if __name__ == "__main__":
    stage.run(main)
