"""Translation: few-shot for causal models, the sentence alone for encoder–decoder models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from random_routing.errors import PipelineError
from random_routing.models.tokens import encode_as_text
from random_routing.settings import Task
from random_routing.tasks.example_ids import CONTROL, Generator, in_stable_order
from random_routing.tasks.usable_records import MISSING, LeftOut, Record, fault_of, usable

LANGUAGES = {
    "de": "German", "en": "English", "es": "Spanish", "fr": "French", "it": "Italian", "nl": "Dutch",
    "pl": "Polish", "pt": "Portuguese", "ru": "Russian", "zh": "Chinese",
}  # fmt: skip


def build(
    records: Iterable[Record], task: Task, generator: Generator, left: LeftOut | None = None
) -> list[dict[str, Any]]:
    """records: {source, references}. The in-context pairs are the shortest of all, which makes the
    prompts short, and are never tested.
    """
    left = left or LeftOut()
    ordered = []
    for id_, pair in in_stable_order((pair["source"], pair) for pair in one_a_source(records, left)):
        if generator.cannot_spell([pair["source"], *pair["references"]]):
            left.add(CONTROL, pair, "source", pair["source"])
        else:
            ordered.append((id_, pair))
    shots = 0 if generator.is_encoder_decoder else task.shots
    if len(ordered) <= shots:
        raise PipelineError(
            f"assets.{task.data}: {len(ordered)} pairs; shots = {shots} are needed in context alone{left.after}"
        )
    shown = sorted(ordered, key=lambda item: (_length(item[1]), item[0]))[:shots]
    examples = [(pair["source"], pair["references"][0]) for _, pair in shown]
    in_context = {id_ for id_, _ in shown}
    rows: list[dict[str, Any]] = []
    for id_, pair in ordered:
        if len(rows) == task.examples:
            break
        if id_ in in_context:
            continue
        source, references = pair["source"], pair["references"]
        prompt = source if generator.is_encoder_decoder else few_shot(task, examples, source)
        if generator.cannot_take(encode_as_text(generator.tokenizer, [prompt])["input_ids"][0]):
            left.add(generator.too_long(task), pair, "source", source)
            continue
        rows.append({"id": id_, "prompt": prompt, "source": source, "references": references, "meta": {}})
    return rows


def one_a_source(records: Iterable[Record], left: LeftOut) -> list[Record]:
    """Usable records; equal sources become one with all their references, in the order of the data set."""
    merged: dict[str, Record] = {}
    for record in usable(records, {"source": str}, left):
        references = good_references(record, left)
        if not references:
            continue
        first = merged.setdefault(record["source"], {**record, "references": []})
        new = [text for text in references if text not in first["references"]]
        if not first["references"]:
            new = references
        elif new:
            left.merged += 1
        else:
            left.add("equal to an earlier one", record)
        first["references"] += new
    return list(merged.values())


def good_references(record: Record, left: LeftOut) -> list[str]:
    """Those that a text can match: it ends where a line does."""
    value = record.get("references", MISSING)
    good = []
    for text in value if isinstance(value, list) and value else [value]:
        fault = fault_of(text) or ("holds a line break" if "\n" in text.strip("\r\n") else "")
        if fault:
            name = "reference" if "reference" in left.columns else "references"
            left.add(f"whose reference {fault}", record, name, text)
        else:
            good.append(text.strip("\r\n"))
    return good


def _length(pair: Record) -> int:
    return len(pair["source"]) + len(pair["references"][0])


def few_shot(task: Task, examples: list[tuple[str, str]], source: str) -> str:
    first = LANGUAGES.get(task.source_language, task.source_language)
    second = LANGUAGES.get(task.target_language, task.target_language)
    shown = "".join(f"{first}: {text}\n{second}: {translated}\n\n" for text, translated in examples)
    return f"{shown}{first}: {source}\n{second}:"
