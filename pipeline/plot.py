"""Stage plot: the tables in `reports/` → figures in `reports/plots/`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure

from pipeline import stage
from pipeline.checks import PipelineError
from pipeline.report import curves, heatmap, likelihood, matched, plane, routing, style
from pipeline.report.records import read_records
from pipeline.report.table import Row, from_csv
from pipeline.settings import Variant, load_settings

TABLE = Path("reports/cells.csv")
FOLDER = Path("reports/plots")
FIGURES: dict[str, Callable[[Sequence[Row], dict[str, Variant]], Figure | None]] = {
    "heatmap": heatmap.draw,
    "plane": plane.draw,
    "rate": curves.draw,
}


def main(argv: list[str]) -> None:
    settings = load_settings()
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
                    stage.say("plot", f"{task}-{name}.png left out: the table lacks the metrics it shows")
                    continue
                style.save(figure, folder / f"{task}-{name}.png")
                written += 1
            opened, after, compared, likely = (
                [r for r in records if r["task"] == task]
                for records in (gates, recovery, differences, human)
            )
            found = {
                "routing": routing.draw(opened, after, variants) if opened else None,
                "matched": matched.draw(compared, of_task, settings),
                "likelihood": likelihood.draw(likely, settings),
            }
            for name, figure in found.items():
                if figure is not None:
                    style.save(figure, folder / f"{task}-{name}.png")
                    written += 1
    stage.say("plot", f"{written} figures in {FOLDER}")


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
