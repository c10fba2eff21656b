"""Chat templates. They are untrusted programs: Jinja's sandbox keeps them from Python, a clock from running on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jinja2 import TemplateError

from pipeline.checks import PipelineError, short
from pipeline.tasks.examples import Generator

LONGEST = 5.0  # seconds for one prompt, which takes a millisecond
# Whatever a template fails with is its fault.
ERRORS = (
    TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TimeoutError, TypeError,
    ValueError,
)  # fmt: skip


def chat_prompt(generator: Generator, messages: list[dict[str, str]]) -> str:
    """The conversation as the model wants it, up to where it answers; for the main thread.

    Raises `PipelineError` when the template refuses, as some do an opening by the assistant.
    """
    try:
        with _time_limit(LONGEST):
            return generator.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
    except ERRORS as error:
        raise PipelineError(
            f"data/assets/{generator.name}: its chat template refuses {len(messages)} turns ({short(error)})"
        ) from None


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raises `TimeoutError` inside of the block. The sandbox bounds a loop, but not loops in loops."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"it takes longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
