"""What a person reads when something is wrong: one line, with file, key, value and what is allowed."""

from __future__ import annotations

import os
import reprlib
from typing import Any


class PipelineError(Exception):
    """Bad input of any kind; a stage prints the message as one line and ends with status 2.

    The message may quote untrusted text: its line breaks become blanks, its control characters are spelt out.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))


def short(error: object, most: int = 200) -> str:
    """The beginning of another library's message, in one line; files as they are named here."""
    return " ".join(str(error).replace(f"{os.getcwd()}/", "").split())[:most]


class SettingsError(PipelineError):
    """A wrong key or value in the parameters file."""


def fail(key: str, value: Any, allowed: str) -> SettingsError:
    return SettingsError(f"params.yaml: {key:.300} = {SHORT.repr(value)}: {allowed}")


class _Short(reprlib.Repr):
    """A repr that is cut after a few entries and levels."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxdict = 8
        self.maxlevel, self.maxstring, self.maxother = 3, 120, 120

    def repr_int(self, value: int, level: int) -> str:
        if abs(value) < 10**40:
            return repr(value)
        return "10^40 or more" if value > 0 else "-10^40 or less"  # Python refuses to write 5,000 digits


SHORT = _Short()
