"""Stage prepare: prompts and human references of a task → `data/prepared/<task>.jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import stage
from random_routing.errors import PipelineError
from random_routing.files import check_asset, sealed, write_jsonl
from random_routing.models.folder import load_tokenizer, read_shape
from random_routing.models.roles import check_roles
from random_routing.progress import say
from random_routing.runs.tokenized import check_context, prompt_room, tokenize_prompts
from random_routing.settings import Asset, Task, load_settings
from random_routing.settings.checks import choice
from random_routing.tasks import TASK_KINDS
from random_routing.tasks.example_ids import Generator
from random_routing.tasks.named_data_sets import READERS
from random_routing.tasks.usable_records import LeftOut

ASSETS = Path("data/assets")
ROW = ("id", "prompt", "source", "references", "meta")  # keys of a prepared row


def main(argv: list[str]) -> None:
    settings = load_settings()
    task = settings.tasks[choice("prepare", stage.argument(argv, "a task"), settings.tasks)]
    data = settings.assets[task.data]
    if not (ASSETS / task.data).is_dir():
        raise PipelineError(f"{ASSETS / task.data}: missing; run dvc repro fetch@{task.data}")
    check_roles(settings, task)
    check_asset(ASSETS / task.data, weights=False)
    shape = read_shape(ASSETS / task.model, task.target_code, task.labels)
    tokenizer = load_tokenizer(ASSETS / task.model, task.source_code)
    generator = Generator(task.model, tokenizer, shape.is_encoder_decoder, prompt_room(task, shape))
    left = LeftOut(data.fields)
    rows = prepare(task, data, generator, ASSETS / task.data, left)
    special = TASK_KINDS[task.kind].add_special_tokens
    examples = tokenize_prompts(rows, generator.tokenizer, special)
    check_context(f"tasks.{task.name}", examples, task, shape)
    path = Path("data/prepared") / f"{task.name}.jsonl"
    write_jsonl(path, [sealed(row, inside="meta") for row in rows])
    say("prepare", f"{task.name}: {len(rows)} examples in {path}")
    if str(left):
        say("prepare", f"{task.name}: {left}")


def prepare(
    task: Task, data: Asset, generator: Generator, folder: Path, left: LeftOut | None = None
) -> list[dict[str, Any]]:
    """Rows of the task; the others are counted in `left`. Raises `PipelineError` when there are too few."""
    left = left or LeftOut(data.fields)
    rows = TASK_KINDS[task.kind].build(READERS[data.reader](folder, data, task), task, generator, left)
    for row in rows[:1]:
        if lacking := [key for key in ROW if key not in row]:
            raise PipelineError(f"random_routing/tasks: rows of kind {task.kind} lack {', '.join(lacking)}")
    if len(rows) < task.examples:
        raise PipelineError(
            f"params.yaml: tasks.{task.name}.examples = {task.examples}: "
            f"{task.data} yields at most {len(rows)}{left.after}"
        )
    return rows


if __name__ == "__main__":
    stage.run(main)
