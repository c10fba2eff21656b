"""Translation: few-shot for causal models, the sentence alone for encoder–decoder models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.checks import PipelineError
from pipeline.settings import Task
from pipeline.tasks.examples import Generator, field, in_stable_order

LANGUAGES = {
    "de": "German", "en": "English", "es": "Spanish", "fr": "French", "it": "Italian", "nl": "Dutch",
    "pl": "Polish", "pt": "Portuguese", "ru": "Russian", "zh": "Chinese",
}  # fmt: skip


def build(records: Iterable[dict[str, Any]], task: Task, generator: Generator) -> list[dict[str, Any]]:
    """records: {source, references}. The in-context pairs are the shortest of all, which makes the
    prompts short, and are never tested.
    """
    pairs = ((field(r, "source", str), field(r, "references", list)) for r in records)
    ordered = [
        (id_, record["source"], record["references"])
        for id_, record in in_stable_order((s, {"source": s, "references": r}) for s, r in pairs)
        if not generator.cannot_spell([record["source"], *record["references"]])
    ]
    shots = 0 if generator.is_encoder_decoder else task.shots
    if len(ordered) <= shots:
        raise PipelineError(
            f"assets.{task.data}: {len(ordered)} pairs; shots = {shots} are needed in context alone"
        )
    complete = [pair for pair in ordered if pair[2] and pair[2][0].strip()]
    shown = sorted(complete, key=lambda pair: (len(pair[1]) + len(pair[2][0]), pair[0]))[:shots]
    examples = [(source, references[0]) for _, source, references in shown]
    in_context = {id_ for id_, _, _ in shown}
    tested = [pair for pair in ordered if pair[0] not in in_context][: task.examples]
    return [
        {
            "id": id_,
            "prompt": source if generator.is_encoder_decoder else few_shot(task, examples, source),
            "source": source,
            "references": references,
            "meta": {},
        }
        for id_, source, references in tested
    ]


def few_shot(task: Task, examples: list[tuple[str, str]], source: str) -> str:
    first = LANGUAGES.get(task.source_language, task.source_language)
    second = LANGUAGES.get(task.target_language, task.target_language)
    shown = "".join(f"{first}: {one}\n{second}: {other}\n\n" for one, other in examples)
    return f"{shown}{first}: {source}\n{second}:"
