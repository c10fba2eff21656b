"""From prepared rows to a plan: tokenized prompts, sampling vocabulary, frequencies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from random_routing.errors import PipelineError
from random_routing.files import read_json, read_jsonl
from random_routing.law.cells import Cell
from random_routing.law.vocabulary import Vocabulary, sampling_vocabulary, stop_tokens
from random_routing.models.folder import read_shape
from random_routing.models.shape import Shape
from random_routing.runs.calibration import with_frequencies
from random_routing.runs.plan import Plan, make_plan
from random_routing.runs.tokenized import Example, tokenize_prompts
from random_routing.settings import Settings, Task
from random_routing.tasks import TASK_KINDS


@dataclass(frozen=True)
class Prepared:
    """What all plans of a task share; each part is made once, when it is first asked for.

    rows: as `data/prepared/<task>.jsonl` holds them; folder, tokenizer: the model's.
    """

    settings: Settings
    task: Task
    rows: list[dict[str, Any]]
    folder: Path
    tokenizer: Any

    @cached_property
    def shape(self) -> Shape:
        return read_shape(self.folder, self.task.target_code, self.task.labels)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        stop = stop_tokens(self.tokenizer, self.shape.eos, TASK_KINDS[self.task.kind].stop_at_newline)
        return sampling_vocabulary(
            self.tokenizer, self.shape.logits, stop, self.settings.include_eos, self.shape.barred
        )

    @cached_property
    def examples(self) -> list[Example]:
        return tokenize_prompts(self.rows, self.tokenizer, TASK_KINDS[self.task.kind].add_special_tokens)

    def plan(self, cells: list[Cell]) -> Plan:
        references = [text for row in self.rows for text in row["references"]]
        cells, tables = with_frequencies(cells, references, self.tokenizer, self.vocabulary, self.task.name)
        asset = read_json(self.folder / "asset.json")
        return make_plan(
            self.settings, self.task, cells, self.examples, self.vocabulary, self.shape, asset, tables
        )


def plan_task(settings: Settings, task: Task, cells: list[Cell], folder: Path, tokenizer: Any) -> Plan:
    rows = read_jsonl(f"data/prepared/{task.name}.jsonl")
    if not rows:
        raise PipelineError(f"data/prepared/{task.name}.jsonl: holds no examples")
    return Prepared(settings, task, rows, folder, tokenizer).plan(cells)
