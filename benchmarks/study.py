"""A study: a run of `studies/<name>/params.yaml` for each of its seeds, and all of them together.

`python -m benchmarks.study <name>` (`make study`) runs the pipeline in a workspace per seed, `data/studies/<name>/`,
with the checkout's commit, cache and finished texts; an interrupted study goes on where it was. What it writes is
committed: `studies/<name>/<seed>/` has the parameters, lock, reports and statistics (of each prompt, no text) of a
seed, `studies/<name>/reports/` the verdicts of all texts. Seeds have other random numbers and the same prompts:
together they are more texts of each prompt. A seed whose folder has these parameters is finished: it is not run again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from random_routing.commands.workspace import dvc, make_workspace
from random_routing.comparison.replicates import pooled
from random_routing.errors import PipelineError
from random_routing.files import write_text
from random_routing.metrics import METRICS
from random_routing.report.findings import contrast_sentence, verdict_table
from random_routing.report.tables.small_tables import TABLES, about, csv_of
from random_routing.results.json_form import to_json
from random_routing.settings import load_settings

ROOT = Path(__file__).parent.parent
KEPT = (
    "params.yaml", "dvc.lock", "reports/*.csv", "reports/*.md", "reports/summary.json", "reports/plots/*.png",
    "data/metrics/*.stats.parquet",
)  # fmt: skip
HEADER = """# {name}: does random routing help?

{seeds} seeds, {prompts} prompts a task, {texts} texts of each prompt by each decoder; {tests} hypotheses, whose
intervals hold together with {confidence:.0%} confidence. A difference is of quality at equal diversity (or from the
base decoder), turned so that more is better.
"""


def main(name: str) -> None:
    study = ROOT / "studies" / name
    if not (study / "params.yaml").exists():
        raise PipelineError(f"studies/{name}/params.yaml: is missing")
    seeds = [int(line) for line in (study / "seeds.txt").read_text().split()]
    for seed in seeds:
        if not finished(study, seed):
            run_seed(study, seed)
    for line in tables(study, [study / str(seed) for seed in seeds]):
        print(line)


def params_of(study: Path, seed: int) -> str:
    params = _read(study / "params.yaml") | {"seed": seed}
    return str(yaml.safe_dump(params, sort_keys=False))


def _read(file: Path) -> dict[str, Any]:
    """With the sections that DVC asks for, which a study from before them does not have."""
    return {"trained": {}, "learning": {}, **yaml.safe_load(file.read_text(encoding="utf-8"))}


def finished(study: Path, seed: int) -> bool:
    kept = study / str(seed) / "params.yaml"
    return kept.exists() and _read(kept) == yaml.safe_load(params_of(study, seed))


def run_seed(study: Path, seed: int) -> None:
    """The pipeline at the checkout's commit with the study's parameters and this seed; keeps what is committed."""
    space = ROOT / "data" / "studies" / study.name / str(seed)
    make_workspace(space, params_of(study, seed))
    subprocess.run([dvc(), "repro"], cwd=space, check=True)
    kept = study / str(seed)
    shutil.rmtree(kept, ignore_errors=True)
    for path in (
        path for pattern in KEPT[::-1] for path in space.glob(pattern)
    ):  # params.yaml says that it is finished
        copy = kept / path.relative_to(space)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def tables(study: Path, seeds: Sequence[Path]) -> list[str]:
    """Write the verdicts of all seeds, which are in these folders, together; returns them in sentences."""
    settings = load_settings(study / "params.yaml", METRICS)
    together = {
        name: pooled(
            settings, [task] * len(seeds), [seed / f"data/metrics/{name}.stats.parquet" for seed in seeds]
        )
        for name, task in settings.tasks.items()
    }
    for name in ("contrasts", "axes"):
        columns = TABLES[name].columns
        rows = [
            {
                **about(settings.tasks[task]),
                "seed": "all",
                "family": getattr(record, "variant", ""),
                **to_json(record),
            }
            for task, compared in together.items()
            for record in getattr(compared, name)
        ]
        text = csv_of(columns, [[row.get(column) for column in columns] for row in rows])
        write_text(study / "reports" / f"{name}.csv", text)
    contrasts = {task: compared.contrasts for task, compared in together.items()}
    first = next(record for records in contrasts.values() for record in records)
    header = HEADER.format(
        name=study.name, seeds=len(seeds), prompts=first.prompts, texts=first.texts // first.prompts,
        tests=settings.comparison.hypotheses(settings.tasks), confidence=settings.confidence,
    )  # fmt: skip
    sentences = {
        task: [contrast_sentence(record) for record in records] for task, records in contrasts.items()
    }
    parts = [header, verdict_table(contrasts)]
    parts += [f"\n## {task}\n\n" + "\n".join(of_task) for task, of_task in sentences.items()]
    write_text(study / "reports" / "findings.md", "\n".join(parts) + "\n")
    return [f"{task} {line}" for task, of_task in sentences.items() for line in of_task]


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cpu")
