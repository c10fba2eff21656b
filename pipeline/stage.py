"""What every stage's `main` shares: one clear line on bad input, one line on what was written."""

from __future__ import annotations

import sys
from collections.abc import Callable

from random_routing import interrupt
from random_routing.errors import PipelineError


def run(main: Callable[[list[str]], None]) -> None:
    """Call `main` with the command line; end with status 2 and one line on bad input."""
    interrupt.in_one_line(lambda: main(sys.argv[1:]))


def argument(argv: list[str], what: str) -> str:
    """The stage's one argument, such as the task's name."""
    if len(argv) != 1:
        raise PipelineError(f"expected one argument: {what}")
    return argv[0]
