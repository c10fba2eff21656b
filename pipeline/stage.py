"""What every stage's `main` shares: one clear line on bad input, one line on what was written."""

from __future__ import annotations

import sys
from collections.abc import Callable

from random_routing import interrupt
from random_routing.errors import PipelineError


def run(main: Callable[[list[str]], None]) -> None:
    """Call `main` with the command line; end with status 2 and one line on bad input."""
    try:
        with interrupt.working():
            main(sys.argv[1:])
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # disk full, permission, …
        line = PipelineError(f"{error.filename or 'file system'}: {error.strerror or error}")
        print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(interrupt.line(), file=sys.stderr)
        sys.exit(interrupt.status())


def argument(argv: list[str], what: str) -> str:
    """The stage's one argument, such as the task's name."""
    if len(argv) != 1:
        raise PipelineError(f"expected one argument: {what}")
    return argv[0]
