"""Bad input, Ctrl-C and SIGTERM end a stage with one line and the usual status, at any moment.

While a stage imports its libraries nothing is open, and the process ends at once. While it works, KeyboardInterrupt
lets it close what is open; where that takes long, or a library swallows it, the process ends all the same.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from random_routing.errors import PipelineError

Result = TypeVar("Result")
FILES = "file system"  # where an error names no file

PATIENCE = 10.0  # seconds to close what is open
SAID = {signal.SIGINT: "interrupted", signal.SIGTERM: "stopped"}


class _State:
    listening = working = False
    caught = signal.SIGINT
    leaving = False


def listen() -> None:
    """From now on, for good. A signal that is ignored, as Ctrl-C is in a shell's background, stays so."""
    _State.listening = True
    for number in SAID:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    signal.signal(signal.SIGALRM, lambda *_: leave())
    sys.unraisablehook = _unraisable


def listen_again() -> None:
    """After a library has put its own handlers in their place."""
    if _State.listening:
        listen()


@contextmanager
def working() -> Iterator[None]:
    """What is inside may be ended by KeyboardInterrupt."""
    _State.working = True
    try:
        yield
    finally:
        _State.working = False


def in_one_line(work: Callable[[], Result]) -> Result:
    """What it returns; bad input, the file system and signals end the process with one line and a status."""
    try:
        with working():
            return work()
    except PipelineError as error:
        said, code = f"error: {error}", 2
    except OSError as error:  # disk full, permission, …
        said, code = f"error: {PipelineError(f'{error.filename or FILES}: {error.strerror or error}')}", 2
    except KeyboardInterrupt:
        said, code = line(), status()
    print(said, file=sys.stderr)
    sys.exit(code)


@contextmanager
def held() -> Iterator[None]:
    """Ctrl-C comes after the block. Processes started in it never get it: whoever started them ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def line() -> str:
    return f"{SAID[_State.caught]}; what is finished is kept"


def status() -> int:
    """Of a process that the caught signal ends, as shells count: 130 or 143."""
    return 128 + _State.caught


def leave() -> None:
    """End the process now, without what libraries do at exit."""
    os.write(2, f"{line()}\n".encode())
    os._exit(status())


def _stop(number: int, frame: Any) -> None:
    _State.caught = signal.Signals(number)
    if not _State.working or _State.leaving:  # a second one does not wait
        leave()
    _State.leaving = True
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    raise KeyboardInterrupt


def _unraisable(lost: Any) -> None:
    """KeyboardInterrupt where nobody can catch it, such as in a destructor, would be lost."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        leave()
    sys.__unraisablehook__(lost)
