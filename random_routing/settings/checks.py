"""Checks of single values: each returns the value it accepts or raises `SettingsError`.

Every message is one line: file, key, value, what is allowed.
"""

from __future__ import annotations

import datetime
import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from random_routing.errors import SettingsError, fail

LONGEST_NAME = (
    128  # bytes; the file's own is longer: .routing-<name>-q0.0123456789-l0.1.parquet.<process>.tmp
)
WORDS = ("yes", "no", "on", "off", "y", "n")  # which some take for true and false


def number(key: str, value: Any, low: float, high: float = math.inf, open_low: bool = False) -> float:
    """A float in [low, high], or in (low, high] with `open_low`. −0 is 0: equal values are the same bytes."""
    upper = "" if high == math.inf else f" and at most {high:g}"
    allowed = f"must be a number {'above' if open_low else 'of at least'} {low:g}{upper}"
    if isinstance(value, str):
        raise fail(key, value, f"{allowed}, not text ({spelt(value) or 'write 0.001, not 1e-3'})")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise fail(key, value, allowed)
    if not (low <= value <= min(high, 1e300)) or (open_low and value == low):  # nor NaN
        raise fail(key, value, allowed)
    return float(value) + 0.0


def integer(key: str, value: Any, low: int, high: int = 2**63 - 1, why: str = "") -> int:
    """why: what sets `high`, where that is not plain."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        upper = "" if high == 2**63 - 1 else f" and at most {high}"
        hint = spelt(value) if isinstance(value, (str, float)) else ""
        hint = "" if "." in hint else hint
        notes = "; ".join(note for note in (hint, why) if note)
        raise fail(
            key, value, f"must be a whole number of at least {low}{upper}{f' ({notes})' if notes else ''}"
        )
    return value


def spelt(value: str | float) -> str:
    """How to write what means a number but was read as text, such as 1e4; empty where it means none."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return ""
    if not number.is_finite() or abs(number.adjusted()) > 20:
        return ""
    if len(digits := f"{number:f}") > 40:
        return ""
    plain = (digits.rstrip("0").rstrip(".") if "." in digits else digits) or "0"
    return f"write {plain}, without quotes" if plain == value else f"write {plain}"


def boolean(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        word = isinstance(value, str) and value.lower() in (*WORDS, "true", "false")
        raise fail(key, value, "must be true or false" + (" (these words, without quotes)" if word else ""))
    return value


def text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        quotes = isinstance(value, (bool, int, float, datetime.date))
        raise fail(
            key, value, "must be a text that is not empty" + (" (put it in quotes)" if quotes else "")
        )
    return value


def name(section: str, value: str) -> str:
    """The key of an entry whose name becomes a part of file names."""
    key = f"{section}.{value}"
    if not re.fullmatch(r"[\w-]+", value):
        raise fail(key, value, "a name may hold letters, digits, - and _ (it names files)")
    if (size := len(value.encode())) > LONGEST_NAME:
        raise fail(key, value, f"a name may have {LONGEST_NAME} bytes (it names files), not {size}")
    return key


def apart(section: str, names: Iterable[str]) -> None:
    """Raises `SettingsError` for two names that are one file on disks that do not tell case or composed letters."""
    seen: dict[str, str] = {}
    for given in names:
        first = seen.setdefault(_on_any_disk(given), given)
        if first != given:
            what = "case" if first.casefold() == given.casefold() else "how its letters are composed"
            raise fail(
                f"{section}.{given}", given,
                f"differs from {section}.{first} in {what} alone, and both name files, which are one on some disks",
            )  # fmt: skip


def _on_any_disk(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def choice(key: str, value: Any, allowed: Iterable[str], known_as: Mapping[str, str] | None = None) -> str:
    """known_as: what others call one of the allowed; it is refused with a hint."""
    options = sorted(allowed)
    if value not in options:
        hint = ""
        if isinstance(value, str):
            close = difflib.get_close_matches(value.lower(), options, n=1)
            other = (known_as or {}).get(value.lower(), "")
            meant = other if other in options else close[0] if close else ""
            hint = f" (did you mean {meant}?)" if meant else ""
        raise fail(key, value, f"must be one of {', '.join(options)}{hint}")
    return str(value)


def mapping(key: str, value: Any, empty_ok: bool = False) -> dict[str, Any]:
    """A key without a value (null) is an empty mapping."""
    if value is None and empty_ok:
        return {}
    if not isinstance(value, dict) or not (value or empty_ok):
        raise fail(key, value, "must be a mapping (key: value lines) that is not empty")
    for name in value:
        if not isinstance(name, str):
            raise fail(key, name, "keys must be text")
    return value


def _named(item: Any) -> Any:
    """A number as `routing.cells` writes it into the names of cells, other values as they are."""
    # + 0.0: −0 is 0, as `number` has it
    return f"{item + 0.0:.12g}" if isinstance(item, (int, float)) and abs(item) < 1e300 else item


def sequence(key: str, value: Any, empty_ok: bool = False) -> list[Any]:
    """A list without equal values. Numbers count as equal where they would name the same cell.

    A key without a value (null) is an empty list.
    """
    if value is None and empty_ok:
        return []
    if not isinstance(value, list) or not (value or empty_ok):
        raise fail(key, value, "must be a list" + ("" if empty_ok else " with at least one value"))
    for position, item in enumerate(value):
        if not isinstance(item, (list, dict)) and _named(item) in map(_named, value[:position]):
            raise fail(f"{key}[{position}]", item, "stands in the list twice; each value once")
    return value


def keys(key: str, value: dict[str, Any], required: Iterable[str], optional: Iterable[str] = ()) -> None:
    """Unknown and missing keys are errors."""
    required, known = set(required), set(required) | set(optional)
    for name in value:
        if not isinstance(name, str):
            raise fail(key or "a key", name, "keys must be text")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            where = f"{key}.{name}" if key else name
            raise fail(where, value[name], f"unknown key; allowed: {', '.join(sorted(known))}{hint}")
    for name in sorted(required - set(value)):
        where = f"{key}.{name}" if key else name
        raise SettingsError(f"params.yaml: {where} is missing; it must be given")
