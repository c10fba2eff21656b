"""Stage prepare: prompts and human references of a task → `data/prepared/<task>.jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import stage
from pipeline.checks import PipelineError, choice
from pipeline.decoding.examples import check_context, tokenize_prompts
from pipeline.decoding.model import load_tokenizer, read_shape
from pipeline.decoding.roles import check_roles
from pipeline.files import check_asset, sealed, write_jsonl
from pipeline.settings import Asset, Task, load_settings
from pipeline.tasks import TASKS
from pipeline.tasks.examples import Generator
from pipeline.tasks.readers import READERS

ASSETS = Path("data/assets")


def main(argv: list[str]) -> None:
    settings = load_settings()
    task = settings.tasks[choice("prepare", stage.argument(argv, "a task"), settings.tasks)]
    data = settings.assets[task.data]
    if not (ASSETS / task.data).is_dir():
        raise PipelineError(f"{ASSETS / task.data}: missing; run dvc repro fetch@{task.data}")
    check_roles(settings, task)
    check_asset(ASSETS / task.data, weights=False)
    shape = read_shape(ASSETS / task.model, task.target_code)
    generator = Generator(
        task.model, load_tokenizer(ASSETS / task.model, task.source_code), shape.is_encoder_decoder
    )
    rows = prepare(task, data, generator, ASSETS / task.data)
    special = TASKS[task.name].add_special_tokens
    examples = tokenize_prompts(rows, generator.tokenizer, special)
    check_context(f"tasks.{task.name}", examples, task, shape)
    path = Path("data/prepared") / f"{task.name}.jsonl"
    write_jsonl(path, [sealed(row, inside="meta") for row in rows])
    stage.say("prepare", f"{task.name}: {len(rows)} examples in {path}")


def prepare(task: Task, data: Asset, generator: Generator, folder: Path) -> list[dict[str, Any]]:
    """Rows of the task. Raises `PipelineError` when there are too few, or one has no reference."""
    rows = TASKS[task.name].build(READERS[data.reader](folder, data, task), task, generator)
    if len(rows) < task.examples:
        raise PipelineError(
            f"params.yaml: tasks.{task.name}.examples = {task.examples}: "
            f"{task.data} yields at most {len(rows)}"
        )
    for row in rows:
        if not row["references"] or not all(isinstance(r, str) and r.strip() for r in row["references"]):
            raise PipelineError(
                f"assets.{task.data}: example {row['id']} ({row['source'][:40]!r}) has no references"
            )
    return rows


if __name__ == "__main__":
    stage.run(main)
