"""A page of made-up numbers and hostile texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from random_routing.report.input import Results
from random_routing.report.page.build import page
from random_routing.report.page.samples import cut
from random_routing.results.measured import CellValues
from random_routing.settings import Settings, parse_settings
from tests.helpers import synthetic

HOSTILE = (
    "<script>document.title = 'broken'</script>",
    "</script><img src=x onerror=\"document.title='broken'\">",
    "\"quotes\" 'and' `ticks` ${1+1} {{ 7*7 }} {% raw %}",
    "left \u202eright-to-left\u202c \u200f\u200b marks",
    "control \x00\x07\x1b[31m characters\x7f",
    "x" * 10_000,
    "&lt;b&gt; &amp; <b>bold</b> \u2028 line \u2029 paragraph",
)
COSTS: dict[str, list[dict[str, Any]]] = {
    task: [
        {
            "stage": "generate", "texts": 2000, "tokens": 90_000, "rows": 30_000, "seconds": 100.0,
            "peak_gib": 2.5, "stored_mib": 3.0, "dtype": "float32", "machine": "<i>two cores</i>",
        }
    ]
    for task in ("textgen", "dialogue", "translation")
}  # fmt: skip
ABOUT: dict[str, Any] = {
    "revision": "0" * 40, "remark": "", "machine": "a machine", "versions": [("torch", "2")],
    "assets": [{"name": "one", "kind": "model", "source": "file:x", "licence": "MIT", "sha256": "00"}],
    "params": "seed: 1\n# </pre><script>document.title = 'broken'</script>\n",
}  # fmt: skip


CONTRASTS = {
    "small": {"variant": "uniform", "r": [0.001, 0.15], "against": "temperature"},
    "plain": {"variant": "plausible", "against": "base"},
}
BY_R = ("uniform", "epsilon-greedy", "heads")  # variants where only r counts


def made_samples(cells: Sequence[CellValues], examples: int = 3) -> dict[str, Any]:
    """Every decoder goes its own way from token 3 on, by a random route; every text holds all hostile ones."""
    variants = {c.decoder: c.variant for c in reversed(cells) if c.family != "human"}
    decoders = list(dict.fromkeys(c.decoder for c in cells if c.family != "human"))
    pieces = [
        "The",
        " same",
        " start",
        *(cut(text) for text in HOSTILE),
        *(f" own{i}" for i in range(999)),
        "",
    ]
    first = len(HOSTILE) + 3
    texts = []
    for i in range(len(decoders) * examples):
        own = [
            0,
            1,
            2,
            first + i % 999,
            *range(3, first),
            *[len(pieces) - 1] * (i % 2),
        ]  # every second one ends
        count = len(own)
        variant = variants[decoders[i // examples]]
        route = 1 if variant in BY_R else 1 + i % 2 if variant else 0
        texts.append(
            [
                own,
                [-50 - i] * count,
                [7] * count,
                [0, 0, 0, route, *[0] * (count - 4)],
                [123] * count,
                i % 2,
            ]
        )
    return {
        "pieces": pieces, "texts": texts, "samples": 1, "made": 1,
        "scores": {"length": [10 + i * 7 % 10 for i in range(len(texts))]}, "people": {"length": [48, 47, 46]},
        "cells": {name: [i * examples + e for e in range(examples)] for i, name in enumerate(decoders)},
        "examples": [
            {
                "id": f"e{i}", "prompt": f"Prompt {i} {HOSTILE[0]}", "references": [HOSTILE[1]],
                "given": f"<|im_start|>system\nBe kind.<|im_end|>\nPrompt {i} {HOSTILE[0]}",
            }
            for i in range(examples)
        ],
    }  # fmt: skip


def made_page() -> str:
    raw = synthetic.raw_params()
    raw["comparison"]["contrasts"] = CONTRASTS
    settings = parse_settings(raw)
    return page(settings, *made_results(settings), COSTS, ABOUT)


def made_results(settings: Settings) -> tuple[dict[str, Results], dict[str, dict[str, Any]]]:
    """Of all tasks, and their texts."""
    results = {task: synthetic.whole(task, settings) for task in settings.tasks}
    return results, {task: made_samples(found.measured.cells) for task, found in results.items()}
