"""Errors are one line."""

from __future__ import annotations


def one_line(error: Exception) -> str:
    message = str(error)
    assert message.isprintable() and 0 < len(message) < 3000, message[:3000]
    return message
