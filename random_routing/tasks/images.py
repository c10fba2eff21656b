"""Images: write the pixels of a handwritten digit that a token asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from random_routing.errors import PipelineError
from random_routing.settings import Task
from random_routing.tasks.digits import CLASSES, PIXELS
from random_routing.tasks.example_ids import Generator, content_id, in_stable_order
from random_routing.tasks.usable_records import LeftOut, Record, usable


def class_token(label: int) -> str:
    """What asks for a digit."""
    return f"<{label}>"


def build(
    records: Iterable[Record], task: Task, generator: Generator, left: LeftOut | None = None
) -> list[dict[str, Any]]:
    """records: {text, label}, real images. An example is a digit and a number: all of a digit have one prompt, and each
    has noise of its own and `real_images` references of its own. Digits take turns: the first ten examples are one
    each.
    """
    left = left or LeftOut()
    if task.max_new_tokens != PIXELS:
        raise PipelineError(
            f"params.yaml: tasks.{task.name}.max_new_tokens = {task.max_new_tokens}: must be {PIXELS}, the pixels"
        )
    known = generator.tokenizer.get_vocab()
    if absent := [class_token(label) for label in range(CLASSES) if class_token(label) not in known]:
        raise PipelineError(
            f"data/assets/{generator.name}: its tokenizer has no token {absent[0]}; "
            "tasks.images.model must be one of recipe pixel-transformer"
        )
    images: dict[int, list[str]] = {label: [] for label in range(CLASSES)}
    for _, record in in_stable_order(((r["text"], r) for r in usable(records, {"text": str}, left)), left):
        images[record["label"]].append(record["text"])
    rows = []
    for number in range(task.examples):
        label, turn = number % CLASSES, number // CLASSES
        references = images[label][turn * task.real_images : (turn + 1) * task.real_images]
        if len(references) < task.real_images:
            break  # other digits may have more, but all are asked for as often
        rows.append({
            "id": content_id(["images", label, turn]),
            "prompt": class_token(label),
            "source": f"a handwritten {label}",
            "references": references,
            "meta": {"label": label},
        })  # fmt: skip
    return rows
