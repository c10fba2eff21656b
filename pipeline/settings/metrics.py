"""The sections of `params.yaml` that say what is measured, and what decoders are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline import checks
from pipeline.checks import fail
from pipeline.settings.schema import Comparison

# Each with the tasks that can have it; METRICS has what they are.
EVERY = ("textgen", "dialogue", "translation")
METRIC_TASKS = {
    **dict.fromkeys(
        (
            "distinct_1", "distinct_2", "distinct_3", "ead_1", "ead_2", "ead_3", "entropy_2", "self_bleu",
            "seq_rep_4", "perplexity", "nats_per_byte", "fluency_gap", "generator_perplexity",
            "reference_similarity", "length", "empty",
        ),
        EVERY,
    ),
    "context_similarity": ("textgen", "dialogue"),  # the embedder reads English; translation's source is not
    **dict.fromkeys(("bleu", "chrf", "ter"), ("translation",)),
}  # fmt: skip
DIVERSITY = ("ead_1", "ead_2", "ead_3", "distinct_1", "distinct_2", "distinct_3", "entropy_2", "self_bleu")
CURVES = {"temperature": "temperature", "top_p": "top-p"}  # baselines that routing is compared with: names
QUALITY = ("fluency_gap", "context_similarity", "reference_similarity", "bleu", "chrf", "ter")


def parse_metrics(value: Any) -> tuple[str, ...]:
    listed = checks.sequence("metrics", value)
    return tuple(checks.choice(f"metrics[{i}]", m, METRIC_TASKS) for i, m in enumerate(listed))


def parse_comparison(value: Any, metrics: Sequence[str], tasks: Sequence[str]) -> Comparison:
    section = checks.mapping("comparison", value)
    checks.keys("comparison", section, ("diversity", "quality", "correction"))
    quality = checks.mapping("comparison.quality", section["quality"])
    checks.keys("comparison.quality", quality, tasks, EVERY)
    found = {task: _asked("quality." + task, quality[task], QUALITY, metrics) for task in tasks}
    for task, metric in found.items():
        if task not in METRIC_TASKS[metric]:
            allowed = ", ".join(m for m in QUALITY if task in METRIC_TASKS[m])
            raise fail(
                f"comparison.quality.{task}",
                metric,
                f"a metric that {task} cannot have; allowed: {allowed}",
            )
    return Comparison(
        diversity=_asked("diversity", section["diversity"], DIVERSITY, metrics),
        quality=found,
        correction=checks.choice("comparison.correction", section["correction"], ("holm", "fdr_bh")),
    )


def _asked(key: str, value: Any, allowed: Sequence[str], metrics: Sequence[str]) -> str:
    name = checks.choice(f"comparison.{key}", value, allowed)
    if name not in metrics:
        raise fail(f"comparison.{key}", value, "must also stand in the list metrics")
    return name
