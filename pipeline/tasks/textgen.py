"""Open-ended text: continue the first tokens of a paragraph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.checks import PipelineError
from pipeline.decoding.tokens import encode_as_text
from pipeline.settings import Task
from pipeline.tasks.examples import Generator, field, in_stable_order


def build(records: Iterable[dict[str, Any]], task: Task, generator: Generator) -> list[dict[str, Any]]:
    """records: {text}. The prompt is the text's first `prompt_tokens` tokens, the reference the next
    `max_new_tokens`, so that people and decoders write texts of one length; shorter texts are left out.
    """
    if not generator.tokenizer.is_fast:  # only those know where in the text a token lies
        raise PipelineError(f"data/assets/{generator.name}: textgen needs a model with a fast tokenizer")
    texts = (field(record, "text", str) for record in records)
    ordered = in_stable_order((text, {"text": text}) for text in texts)
    rows: list[dict[str, Any]] = []
    for id_, record in ordered:
        if len(rows) == task.examples:
            break
        text = record["text"]
        if generator.cannot_spell([text]):
            continue
        encoded = encode_as_text(
            generator.tokenizer, [text], add_special_tokens=False, return_offsets_mapping=True
        )
        ends = [end for _, end in encoded["offset_mapping"][0]]
        if len(ends) < task.prompt_tokens + task.max_new_tokens:
            continue
        cut, end = ends[task.prompt_tokens - 1], ends[task.prompt_tokens + task.max_new_tokens - 1]
        prompt = text[:cut]
        reference = text[cut:end]
        rows.append({"id": id_, "prompt": prompt, "source": prompt, "references": [reference], "meta": {}})
    return rows
