"""Stage plot: tables, metrics and texts → figures in `reports/plots/` and the page `reports/index.html`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pipeline import stage
from random_routing.errors import PipelineError
from random_routing.files import read_json, read_jsonl, write_text
from random_routing.metrics import METRICS
from random_routing.models.folder import load_tokenizer
from random_routing.progress import say
from random_routing.report.figures import curves, heatmap, likelihood, matched, plane, style, tuning
from random_routing.report.figures import routes as routing
from random_routing.report.page.about import about
from random_routing.report.page.build import page
from random_routing.report.page.samples import shown, task_samples
from random_routing.report.results import read_measured
from random_routing.report.tables.cells import Row, from_csv
from random_routing.report.tables.records import read_records
from random_routing.runs.cost import read_costs
from random_routing.runs.prepared import Prepared
from random_routing.settings import Settings, Task, Variant, load_settings

TABLE = Path("reports/cells.csv")
FOLDER = Path("reports/plots")
PAGE = Path("reports/index.html")
FIGURES: dict[str, Callable[[Sequence[Row], dict[str, Variant]], Figure | None]] = {
    "heatmap": heatmap.draw,
    "plane": plane.draw,
    "rate": curves.draw,
}


def main(argv: list[str]) -> None:
    settings = load_settings(metrics=METRICS)
    say("plot", f"{figures(settings)} figures in {FOLDER}")
    html = whole_page(settings)
    write_text(PAGE, html)
    say("plot", f"{PAGE}, {len(html.encode()) / 2**20:.1f} MiB")


def figures(settings: Settings) -> int:
    """Draw the figures of all tasks; returns how many."""
    variants = settings.variants
    try:
        rows = from_csv(TABLE.read_text(encoding="utf-8"), str(TABLE))
    except FileNotFoundError:
        raise PipelineError(f"{TABLE} is not there; run the stage summarize first") from None
    gates, recovery, differences, human = (
        read_records(Path(f"reports/{name}.csv")) for name in ("gates", "recovery", "matched", "likelihood")
    )
    written = 0
    with fresh_folder(FOLDER) as folder, style.looks():
        for task in dict.fromkeys(row.task for row in rows):
            of_task = [row for row in rows if row.task == task]
            for name, draw in FIGURES.items():
                figure = draw(of_task, variants)
                if figure is None:
                    say("plot", f"{task}-{name} left out: the table lacks the metrics it shows")
                    continue
                style.save(figure, folder / f"{task}-{name}")
                written += 1
            opened, after, compared, likely = (
                [r for r in records if r["task"] == task]
                for records in (gates, recovery, differences, human)
            )
            found = {
                "routing": routing.draw(opened, after, variants) if opened else None,
                "matched": matched.draw(compared, of_task, settings),
                "likelihood": likelihood.draw(likely, settings),
                "tune": tuning.draw(read_json(f"data/tune/{task}.json")),
            }
            for name, figure in found.items():
                if figure is not None:
                    style.save(figure, folder / f"{task}-{name}")
                    written += 1
    return written


def whole_page(settings: Settings) -> str:
    measured = read_measured(settings.tasks)
    samples = {task: texts_of(settings, settings.tasks[task], found) for task, found in measured.items()}
    costs = {task: [asdict(cost) for cost in read_costs(task)] for task in measured}
    return page(settings, measured, samples, costs, about(settings))


def texts_of(settings: Settings, task: Task, measured: dict[str, Any]) -> dict[str, Any]:
    model = Path("data/assets") / task.model
    tokenizer = load_tokenizer(model, task.source_code)
    rows = read_jsonl(f"data/prepared/{task.name}.jsonl")
    decoders = list(
        dict.fromkeys(cell["decoder"] for cell in measured["cells"] if cell["family"] != "human")
    )
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
