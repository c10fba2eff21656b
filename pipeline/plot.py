"""Stage plot: metrics and texts → figures in `reports/plots/` and `reports/figures/`, the page `reports/index.html`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pipeline import stage
from random_routing.files import read_jsonl, write_text
from random_routing.metrics import METRICS
from random_routing.models.folder import load_tokenizer
from random_routing.progress import say
from random_routing.report.figures import (
    calibration,
    captions,
    forest,
    gates,
    heatmap,
    learning,
    likelihood,
    matched,
    plane,
    rate,
    recovery,
    style,
    tuning,
)
from random_routing.report.figures import (
    pictures as grids,
)
from random_routing.report.input import Results, read_results
from random_routing.report.page.about import about
from random_routing.report.page.build import page
from random_routing.report.page.samples import shown, task_samples
from random_routing.results.learned import read_outcomes
from random_routing.results.measured import Measured
from random_routing.results.pooled import read_pooled
from random_routing.results.text_scores import read_scores
from random_routing.runs.cost import read_costs
from random_routing.runs.make_plan import Prepared
from random_routing.settings import Settings, Task, load_settings
from random_routing.tasks import TASK_KINDS

PLOTS = Path("reports/plots")  # a PNG of each, for the documents and `dvc plots`
FIGURES = Path("reports/figures")  # of both widths, in the formats that are wanted, with their captions
PAGE = Path("reports/index.html")
Draw = Callable[[float], Figure | None]  # in inches; None where there is nothing to show
OF_TASK: dict[str, Callable[[Measured, Settings, float], Figure | None]] = {
    "plane": plane.draw,
    "matched": matched.draw,
    "heatmap": heatmap.draw,
    "rate": rate.draw,
    "recovery": recovery.draw,
    "likelihood": likelihood.draw,
    "gates": gates.draw,
}
OF_KIND = {"images": {"pictures": grids.draw}, "sentiment": {"calibration": calibration.draw}}


def main(argv: list[str]) -> None:
    settings = load_settings(metrics=METRICS)
    results = read_results(settings.tasks)
    say("plot", f"{figures(settings, results)} figures in {PLOTS} and {FIGURES}")
    html = whole_page(settings, results)
    write_text(PAGE, html)
    say("plot", f"{PAGE}, {len(html.encode()) / 2**20:.1f} MiB")


def figures(settings: Settings, results: dict[str, Results]) -> int:
    """Draw the figures of all tasks, each of both widths, or for the plots alone; returns how many."""
    said = dict[str, str]()
    widths = style.WIDTHS if settings.formats else {"full": style.FULL}
    with fresh_folder(PLOTS) as plots, fresh_folder(FIGURES) as folder, style.looks():
        for name, (draw, caption) in pictures(settings, results).items():
            for width_name, width in widths.items():
                figure = draw(width)
                if figure is None:
                    say("plot", f"{name} left out: there is nothing to show")
                    break
                said[name] = caption
                for kind in settings.formats:
                    style.save(figure, folder / f"{name}-{width_name}.{kind}")
                if width == style.FULL:
                    style.save(figure, plots / f"{name}.png")
        write_text(folder / "captions.md", captions.as_markdown(said))
        write_text(folder / "captions.tex", captions.as_latex(said))
    return len(said)


def pictures(settings: Settings, results: dict[str, Results]) -> dict[str, tuple[Draw, str]]:
    """Name → how it is drawn in some width, and its caption."""
    about = captions.contrasts_caption([of_task.measured for of_task in results.values()], settings)
    found: dict[str, tuple[Draw, str]] = {"contrasts": (partial(forest.draw, results, settings), about)}
    for task, of_task in results.items():
        of_kind = OF_TASK | OF_KIND.get(settings.tasks[task].kind, {})
        draws: dict[str, Draw] = {
            name: partial(draw, of_task.measured, settings) for name, draw in of_kind.items()
        }
        for name, draw in (draws | {"tune": partial(tuning.draw, of_task.tuned)}).items():
            found[f"{task}-{name}"] = (draw, captions.caption(name, of_task.measured, settings))
    for name, entry in settings.learning.items():
        draw = partial(learning.draw, read_outcomes(name), settings)
        found[f"learning-{name}"] = (draw, learning.caption(entry, settings.confidence))
    return found


def whole_page(settings: Settings, results: dict[str, Results]) -> str:
    samples = {
        task: texts_of(settings, settings.tasks[task], result.measured) for task, result in results.items()
    }
    costs = {task: [asdict(cost) for cost in read_costs(task)] for task in results}
    learned = [read_outcomes(name) for name in settings.learning]
    return page(settings, results, samples, costs, about(settings), read_pooled(), learned)


def texts_of(settings: Settings, task: Task, measured: Measured) -> dict[str, Any]:
    model = Path("data/assets") / task.model
    tokenizer = load_tokenizer(model, task.source_code)
    rows = read_jsonl(f"data/prepared/{task.name}.jsonl")
    decoders = list(dict.fromkeys(cell.decoder for cell in measured.cells if cell.decoded))
    rows = rows[: shown(settings.page_examples, len(rows), len(decoders), task.samples)]
    prepared = Prepared(settings, task, rows, model, tokenizer)
    prompts = [example.prompt for example in prepared.examples]
    follow = not prepared.shape.is_encoder_decoder
    folder = Path("data/generations") / task.name
    kind = TASK_KINDS[task.kind]
    scores = read_scores(f"data/metrics/{task.name}.texts.parquet")
    return task_samples(
        folder, decoders, rows, task.samples, tokenizer, prompts, follow, scores, kind.shown_as
    )


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
