"""Tasks that differ in the seed alone: other random numbers for the same prompts, so more texts of each prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from random_routing.comparison.task_comparison import Comparison
from random_routing.errors import PipelineError
from random_routing.law.cells import all_cells
from random_routing.metrics import METRICS
from random_routing.results.compared import Compared
from random_routing.results.pooled import Pooled
from random_routing.scoring.cell_metrics import half_resamples, task_resamples
from random_routing.scoring.statistics_file import Statistics, read_stats
from random_routing.settings import Settings, Task


def pool(settings: Settings) -> list[Pooled]:
    """Every group of such tasks, from what evaluate has written. Raises `PipelineError`."""
    found = []
    for group in settings.comparison.replicates(settings.tasks):
        files = [Path(f"data/metrics/{task.name}.stats.parquet") for task in group]
        found.append(Pooled([task.name for task in group], pooled(settings, group, files)))
    return found


def pooled(settings: Settings, tasks: Sequence[Task], files: Sequence[Path]) -> Compared:
    """The comparison over all their texts; files: the statistics of each. These are sums over texts, so they add up.

    Raises `PipelineError` where the examples are not the same.
    """
    task, runs = tasks[0], [read_stats(file) for file in files]
    ids = runs[0][0]
    for file, (others, found) in zip(files, runs, strict=True):
        if others != ids:
            raise PipelineError(f"{file}: its examples are not those of {files[0]}")
        if _shapes(found) != _shapes(runs[0][1]):
            raise PipelineError(
                f"{file}: its decoders or metrics are not those of {files[0]}; run dvc repro evaluate"
            )
    stats: Statistics = {
        decoder: {metric: sum(run[decoder][metric] for _, run in runs) for metric in of_decoder}  # type: ignore[misc]
        for decoder, of_decoder in runs[0][1].items()
    }
    cells = [cell for cell in all_cells(settings, task) if cell.name in stats]
    weights, halves = task_resamples(settings, task, ids), half_resamples(settings, task, ids)
    compared = Comparison(settings, task, ids, cells, stats, METRICS).result(weights, halves)
    samples = sum(one.samples for one in tasks)
    contrasts = [replace(record, texts=record.prompts * samples) for record in compared.contrasts]
    return replace(compared, contrasts=contrasts)


def _shapes(stats: Statistics) -> dict[str, dict[str, tuple[int, ...]]]:
    return {decoder: {name: values.shape for name, values in of.items()} for decoder, of in stats.items()}
