"""Chat templates: the same prompt on any day, and what the task gives to them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from transformers.utils import chat_template_utils

from random_routing.errors import PipelineError, SettingsError
from random_routing.settings import Task, parse_settings
from random_routing.tasks import dialogue
from random_routing.tasks.chat_template import chat_prompt
from random_routing.tasks.example_ids import Generator
from tests.helpers.tasks import task
from tests.helpers.tiny import byte_tokenizer
from tests.helpers.workspace import params

TODAY = (
    "{%- if strftime_now is defined %}{{ 'Today is ' + strftime_now('%d %b %Y') + '\\n' }}{% endif %}"
    "{%- for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"
    "{%- if add_generation_prompt %}{{ 'assistant:' }}"
    "{% if enable_thinking is not defined or enable_thinking %}{{ ' <think>' }}{% endif %}{% endif %}"
)
LLAMA = (  # as Llama 3 asks for the date
    "{%- if not date_string is defined %}"
    "{% if strftime_now is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}{% endif %}"
    "{{- 'Today Date: ' + date_string }}"
)
USER = [{"role": "user", "content": "Hi"}]


def prompt(template: str, **changes: Any) -> str:
    generator = Generator("tiny", byte_tokenizer())
    generator.tokenizer.chat_template = template
    return chat_prompt(generator, USER, task("dialogue", **changes))[0]


def test_the_date_is_the_tasks_and_thinking_is_off() -> None:
    assert prompt(TODAY) == "Today is 01 Jan 2026\nuser: Hi\nassistant:"
    assert prompt(TODAY, chat_date="2024-02-29").startswith("Today is 29 Feb 2024\n")
    assert prompt(TODAY) == "Today is 01 Jan 2026\nuser: Hi\nassistant:"  # the compiled template is kept
    assert prompt(LLAMA) == "Today Date: 01 Jan 2026"
    assert prompt("{{ strftime_now('%Y-%m-%d %H:%M') }}") == "2026-01-01 00:00"


def test_the_clock_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(chat_template_utils, "datetime")
    assert prompt(TODAY + " ") == "Today is 01 Jan 2026\nuser: Hi\nassistant: "


def test_what_a_task_gives_to_its_template() -> None:
    assert prompt(TODAY, chat_template_kwargs={"enable_thinking": True}).endswith("assistant: <think>")
    assert prompt(TODAY, chat_template_kwargs={}).endswith(
        "assistant: <think>"
    )  # as the template would have it
    assert prompt(LLAMA, chat_template_kwargs={"date_string": "a day"}) == "Today Date: a day"
    given = {"style": "kind", "level": 3}
    assert prompt("{{ style }} {{ level + 1 }}", chat_template_kwargs=given) == "kind 4"


def test_prepared_rows_hold_what_the_template_made() -> None:
    generator = Generator("tiny", byte_tokenizer())
    generator.tokenizer.chat_template = TODAY
    record = {"context": ["one", "two", "three"], "reply": "four"}
    (row,) = dialogue.build([record], task("dialogue", turns=3), generator)
    assert row["prompt"] == "Today is 01 Jan 2026\nuser: one\nassistant: two\nuser: three\nassistant:"


def test_a_value_that_a_template_cannot_use_is_one_line() -> None:
    with pytest.raises(PipelineError, match=r"^data/assets/tiny: its chat template refuses 1 turns"):
        prompt("{{ style + 1 }}", chat_template_kwargs={"style": "kind"})


def parsed(**changes: Any) -> Task:
    values = params()
    for name, value in changes.items():
        if value is None:
            del values["tasks"]["dialogue"][name]
        else:
            values["tasks"]["dialogue"][name] = value
    return parse_settings(values).tasks["dialogue"]


def test_the_defaults_are_those_of_the_file() -> None:
    left_out = parsed(chat_date=None, chat_template_kwargs=None)
    assert left_out == parsed() and left_out.chat_date == "2026-01-01"
    assert left_out.chat_template_kwargs == {"enable_thinking": False}
    assert parsed(chat_template_kwargs={}).chat_template_kwargs == {}


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("chat_date", "1 May", r"tasks\.dialogue\.chat_date = '1 May': must be a date in quotes"),
        ("chat_date", "2026-02-30", "must be a date in quotes"),
        ("chat_date", "20260101", "must be a date in quotes"),
        ("chat_date", date(2026, 1, 1), "must be a date in quotes"),  # as YAML reads one without them
        ("chat_template_kwargs", "off", "must be a mapping"),
        ("chat_template_kwargs", {"tokenize": True}, r"chat_template_kwargs\.tokenize = True: the chat template is"),
        ("chat_template_kwargs", {"strftime_now": "x"}, "is given it by the pipeline"),
        ("chat_template_kwargs", {"a b": 1}, "holds letters, digits and _"),
        ("chat_template_kwargs", {"a": [1]}, r"chat_template_kwargs\.a = \[1\]: must be true, false, a number or a"),
    ],
)  # fmt: skip
def test_bad_values_are_one_line(key: str, value: Any, line: str) -> None:
    with pytest.raises(SettingsError, match=line) as error:
        parsed(**{key: value})
    assert str(error.value).startswith(f"params.yaml: tasks.dialogue.{key}")


def test_the_keys_are_the_dialogues() -> None:
    values = params()
    values["tasks"]["textgen"]["chat_date"] = "2026-01-01"
    with pytest.raises(SettingsError, match=r"tasks\.textgen\.chat_date .*unknown key"):
        parse_settings(values)
