"""From prepared rows to a plan: tokenized prompts, sampling vocabulary, frequencies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.checks import PipelineError
from pipeline.decoding.examples import tokenize_prompts
from pipeline.decoding.model import read_shape
from pipeline.decoding.plan import Plan, make_plan
from pipeline.decoding.resolve import with_frequencies
from pipeline.files import read_json, read_jsonl
from pipeline.routing.cells import Cell
from pipeline.routing.vocabulary import sampling_vocabulary, stop_tokens
from pipeline.settings import Settings, Task
from pipeline.tasks import TASKS


def plan_task(settings: Settings, task: Task, cells: list[Cell], folder: Path, tokenizer: Any) -> Plan:
    rows = read_jsonl(f"data/prepared/{task.name}.jsonl")
    if not rows:
        raise PipelineError(f"data/prepared/{task.name}.jsonl: holds no examples")
    return plan_rows(settings, task, cells, rows, folder, tokenizer)


def plan_rows(
    settings: Settings,
    task: Task,
    cells: list[Cell],
    rows: list[dict[str, Any]],
    folder: Path,
    tokenizer: Any,
) -> Plan:
    """rows: as `data/prepared/<task>.jsonl` holds them."""
    kind = TASKS[task.name]
    shape = read_shape(folder, task.target_code)
    stop = stop_tokens(tokenizer, shape.eos, kind.stop_at_newline)
    examples = tokenize_prompts(rows, tokenizer, kind.add_special_tokens)
    vocabulary = sampling_vocabulary(tokenizer, shape.logits, stop, settings.include_eos, shape.barred)
    references = [text for row in rows for text in row["references"]]
    cells, tables = with_frequencies(cells, references, tokenizer, vocabulary, task.name)
    asset = read_json(folder / "asset.json")
    return make_plan(settings, task, cells, examples, vocabulary, shape, asset, tables)
