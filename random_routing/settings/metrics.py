"""The sections of `params.yaml` that say what is measured, and what decoders are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from random_routing.errors import fail
from random_routing.settings import checks
from random_routing.settings.schema import Comparison

# Each with the tasks that can have it; METRICS has what they are.
EVERY = ("textgen", "dialogue", "translation")
METRIC_TASKS = {
    **dict.fromkeys(
        (
            "distinct_1", "distinct_2", "distinct_3", "ead_1", "ead_2", "ead_3", "entropy_2", "zipf", "self_bleu",
            "compression_ratio", "vendi", "distinct_texts", "seq_rep_4", "sample_distinct_2", "pairwise_bleu",
            "perplexity", "nats_per_byte", "fluency_gap", "generator_perplexity", "mauve", "reference_similarity",
            "oracle_similarity", "length", "empty", "broken", "thinking",
        ),
        EVERY,
    ),
    "context_similarity": ("textgen", "dialogue"),  # the embedder reads English; translation's source is not
    "bleu_2": ("dialogue",),
    **dict.fromkeys(("chrf", "oracle_chrf"), ("dialogue", "translation")),
    **dict.fromkeys(("bleu", "ter", "oracle_bleu"), ("translation",)),
}  # fmt: skip
DIVERSITY = (
    "ead_1", "ead_2", "ead_3", "distinct_1", "distinct_2", "distinct_3", "entropy_2", "self_bleu",
    "compression_ratio", "vendi", "sample_distinct_2", "pairwise_bleu",
)  # fmt: skip
CURVES = {"temperature": "temperature", "top_p": "top-p"}  # baselines that routing is compared with: names
QUALITY = (
    "mauve", "fluency_gap", "context_similarity", "reference_similarity", "bleu", "bleu_2", "chrf", "ter",
)  # fmt: skip


def parse_metrics(value: Any) -> tuple[str, ...]:
    listed = checks.sequence("metrics", value)
    return tuple(checks.choice(f"metrics[{i}]", m, METRIC_TASKS) for i, m in enumerate(listed))


def parse_comparison(value: Any, metrics: Sequence[str], tasks: Sequence[str]) -> Comparison:
    section = checks.mapping("comparison", value)
    checks.keys("comparison", section, ("diversity", "quality", "correction"))
    quality = checks.mapping("comparison.quality", section["quality"])
    checks.keys("comparison.quality", quality, tasks, EVERY)
    found = {task: _qualities(task, quality[task], metrics) for task in tasks}
    return Comparison(
        diversity=_asked("diversity", section["diversity"], DIVERSITY, metrics),
        quality=found,
        correction=checks.choice("comparison.correction", section["correction"], ("holm", "fdr_bh")),
    )


def _qualities(task: str, value: Any, metrics: Sequence[str]) -> tuple[str, ...]:
    """One metric, or several: the first that there are enough texts for is used."""
    key = f"quality.{task}"
    listed = {key: value}
    if isinstance(value, list):
        listed = {f"{key}[{i}]": name for i, name in enumerate(checks.sequence(f"comparison.{key}", value))}
    for place, name in listed.items():
        if task not in METRIC_TASKS[_asked(place, name, QUALITY, metrics)]:
            allowed = ", ".join(m for m in QUALITY if task in METRIC_TASKS[m])
            raise fail(f"comparison.{place}", name, f"a metric that {task} cannot have; allowed: {allowed}")
    return tuple(listed.values())


def _asked(key: str, value: Any, allowed: Sequence[str], metrics: Sequence[str]) -> str:
    name = checks.choice(f"comparison.{key}", value, allowed)
    if name not in metrics:
        raise fail(f"comparison.{key}", value, "must also stand in the list metrics")
    return name
