"""Open-ended text: continue the first tokens of a paragraph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from random_routing.errors import PipelineError
from random_routing.models.tokens import encode_as_text
from random_routing.settings import Task
from random_routing.tasks.example_ids import CONTROL, Generator, in_stable_order
from random_routing.tasks.usable_records import LeftOut, Record, usable


def build(
    records: Iterable[Record], task: Task, generator: Generator, left: LeftOut | None = None
) -> list[dict[str, Any]]:
    """records: {text}. The prompt is the text's first `prompt_tokens` tokens, the reference the next
    `max_new_tokens`, so that people and decoders write texts of one length; shorter texts are left out.
    """
    left = left or LeftOut()
    if not generator.tokenizer.is_fast:  # only those know where in the text a token lies
        raise PipelineError(f"data/assets/{generator.name}: textgen needs a model with a fast tokenizer")
    texts = usable(records, {"text": str}, left)
    rows: list[dict[str, Any]] = []
    for id_, record in in_stable_order(((record["text"], record) for record in texts), left):
        if len(rows) == task.examples:
            break
        text = record["text"]
        if generator.cannot_spell([text]):
            left.add(CONTROL, record, "text", text)
            continue
        encoded = encode_as_text(
            generator.tokenizer, [text], add_special_tokens=False, return_offsets_mapping=True
        )
        ends = [end for _, end in encoded["offset_mapping"][0]]
        if len(ends) < task.prompt_tokens + task.max_new_tokens:
            needed = f"prompt_tokens + max_new_tokens = {task.prompt_tokens + task.max_new_tokens}"
            left.add(f"shorter than {needed} tokens", record, "text", text)
            continue
        cut, end = ends[task.prompt_tokens - 1], ends[task.prompt_tokens + task.max_new_tokens - 1]
        prompt = text[:cut]
        reference = text[cut:end]
        if not reference.strip():
            left.add("that go on with white space alone", record, "text", text)
        elif generator.cannot_take(encode_as_text(generator.tokenizer, [prompt])["input_ids"][0]):
            left.add(generator.too_long(task), record, "text", text)
        else:
            rows.append(
                {"id": id_, "prompt": prompt, "source": prompt, "references": [reference], "meta": {}}
            )
    return rows
