"""Chat templates. They are untrusted programs: Jinja's sandbox keeps them from Python, a clock from running on.

The date that they see is the task's, so that a prompt is the same tomorrow.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from jinja2 import TemplateError
from transformers.utils.chat_template_utils import _compile_jinja_template

from random_routing.errors import PipelineError, short
from random_routing.settings import Task
from random_routing.settings.tasks import CHAT_DATE
from random_routing.tasks.example_ids import Generator

DATE = "%d %b %Y"  # of `date_string`, as Llama 3's template writes it by itself
LONGEST = 5.0  # seconds of computing for one prompt, which takes a millisecond
# Any of these errors is the fault of the template.
ERRORS = (
    TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TimeoutError, TypeError,
    ValueError,
)  # fmt: skip


def chat_prompt(
    generator: Generator, messages: list[dict[str, str]], task: Task | None = None
) -> tuple[str, list[tuple[int, int]]]:
    """The conversation as the model wants it, up to where it answers, and the (start, end) of what the messages spell
    of control tokens: that must be read as text. For the main thread. task: has the date and the other variables that
    the template gets; None: the default date alone.

    Raises `PipelineError` when the template refuses, as some do an opening by the assistant.
    """
    today = datetime.fromisoformat(task.chat_date if task else CHAT_DATE)
    spelt = Spelt(generator, messages)
    try:
        with _time_limit(LONGEST):
            _stop_clock(generator.tokenizer, today)
            rendered = generator.tokenizer.apply_chat_template(
                spelt.marked,
                tokenize=False,
                add_generation_prompt=True,
                **{"date_string": today.strftime(DATE), **(task.chat_template_kwargs if task else {})},
            )
        return spelt.restored(rendered)
    except ERRORS as error:
        raise PipelineError(
            f"data/assets/{generator.name}: its chat template refuses {len(messages)} turns ({short(error)})"
        ) from None


def _stop_clock(tokenizer: Any, today: datetime) -> None:
    """Templates ask `strftime_now` for the date. The variables that they get can only be data, so the function goes
    into the globals of the compiled template, which the library keeps.
    """
    _compile_jinja_template(tokenizer.get_chat_template()).globals["strftime_now"] = today.strftime


class Spelt:
    """Control tokens that messages spell. While the template runs a mark stands for each, to find it again."""

    def __init__(self, generator: Generator, messages: list[dict[str, str]]) -> None:
        said = "".join(message["content"] for message in messages)
        self.mark = next(chr(c) for c in range(0xE000, 0xF900) if chr(c) not in said)  # of private use
        self.tokens = [token for token in generator.control_tokens if token in said]
        self.marked = [{**message, "content": self._marked(message["content"])} for message in messages]

    def _marked(self, text: str) -> str:
        if not self.tokens:
            return text
        longest_first = sorted(self.tokens, key=len, reverse=True)
        return re.sub(
            "|".join(map(re.escape, longest_first)),
            lambda match: f"{self.mark}{self.tokens.index(match[0])}{self.mark}",
            text,
        )

    def restored(self, rendered: str) -> tuple[str, list[tuple[int, int]]]:
        """Raises `ValueError` where the template has changed a mark."""
        prompt, places = "", []
        pieces = re.split(f"{self.mark}([0-9]+){self.mark}", rendered)
        for i, piece in enumerate(pieces):
            part = self.tokens[int(piece)] if i % 2 else piece
            if i % 2:
                places.append((len(prompt), len(prompt) + len(part)))
            prompt += part
        if self.mark in prompt:
            raise ValueError("it changes the texts")
        return prompt, places


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raises `TimeoutError` inside of the block. The sandbox bounds a loop, but not loops in loops.

    seconds: that this process computes, so that other processes on the machine make no template too slow.
    """

    def stop(*_: Any) -> None:
        raise TimeoutError(f"it computes for more than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
