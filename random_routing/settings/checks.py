"""What a single value of `params.yaml` may be: pydantic checks it, and we say in one line what is allowed."""

from __future__ import annotations

import datetime
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, SkipValidation, ValidationError, WrapValidator
from pydantic_core import CoreSchema, core_schema

from random_routing.errors import fail
from random_routing.settings.keys import KEY, did_you_mean, wrong

T = TypeVar("T")
LARGEST = 2**63 - 1
# Bytes; the file's own is longer: .routing-<name>-q0.0123456789-l0.1.parquet.<process>.tmp
LONGEST_NAME = 128
WORDS = ("yes", "no", "on", "off", "y", "n", "true", "false")  # which some take for true and false


@dataclass(frozen=True)
class Kind:
    """A mark in `Annotated`: pydantic checks by `schema`; `allowed` says of a wrong value what may stand there."""

    schema: CoreSchema
    allowed: Callable[[Any], str]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._check, self.schema)

    def _check(self, value: Any, check: Callable[[Any], Any]) -> Any:
        try:
            return check(value)
        except ValidationError:
            raise wrong(self.allowed(value)) from None


def number(low: float, high: float = math.inf, open_low: bool = False) -> Kind:
    """A float in [low, high], or in (low, high] with `open_low`. −0 is 0: equal values are the same bytes."""
    bound = {"gt" if open_low else "ge": low}
    finite = core_schema.float_schema(strict=True, allow_inf_nan=False, le=min(high, 1e300), **bound)  # type: ignore
    upper = "" if high == math.inf else f" and at most {high:g}"
    range_ = f"must be a number {'above' if open_low else 'of at least'} {low:g}{upper}"

    def allowed(value: Any) -> str:
        text = isinstance(value, str)
        return f"{range_}, not text ({spelt(value) or 'write 0.001, not 1e-3'})" if text else range_

    return Kind(core_schema.no_info_after_validator_function(lambda value: value + 0.0, finite), allowed)


def whole(low: int, high: int = LARGEST, why: str = "") -> Kind:
    """An integer in [low, high]. why: what sets `high`, where that is not plain."""

    def allowed(value: Any) -> str:
        upper = "" if high == LARGEST else f" and at most {high}"
        hint = spelt(value) if isinstance(value, (str, float)) else ""
        notes = "; ".join(note for note in ("" if "." in hint else hint, why) if note)
        return f"must be a whole number of at least {low}{upper}{f' ({notes})' if notes else ''}"

    return Kind(core_schema.int_schema(strict=True, ge=low, le=high), allowed)


def one_of(*words: str, known_as: Mapping[str, str] | None = None) -> Kind:
    """known_as: what others call one of the words; it is refused with a hint."""

    def allowed(value: Any) -> str:
        word = value.lower() if isinstance(value, str) else ""
        other = (known_as or {}).get(word, "")
        hint = f" (did you mean {other}?)" if other in words else did_you_mean(word, sorted(words))
        return f"must be one of {', '.join(sorted(words))}{hint}"

    return Kind(core_schema.literal_schema(list(words)), allowed)


def _flag(value: Any) -> str:
    word = isinstance(value, str) and value.lower() in WORDS
    return "must be true or false" + (" (these words, without quotes)" if word else "")


def _text(value: Any) -> str:
    quotes = isinstance(value, (bool, int, float, datetime.date))
    return "must be a text that is not empty" + (" (put it in quotes)" if quotes else "")


def one_text(value: Any) -> str:
    """The value, where a text that is not empty is allowed beside something else."""
    if not isinstance(value, str) or not value:
        raise wrong(_text(value))
    return value


Flag = Annotated[bool, Kind(core_schema.bool_schema(strict=True), _flag)]
Text = Annotated[str, Kind(core_schema.str_schema(strict=True, min_length=1), _text)]
# A name that another section gives: parse.py looks for it there.
Reference = Annotated[str, SkipValidation]


def _listed(value: Any, check: Callable[[Any], Any], empty_ok: bool) -> Any:
    """Numbers count as equal where they would name the same cell. A key without a value (null) is an empty list."""
    value = [] if value is None and empty_ok else value
    if not isinstance(value, list) or not (value or empty_ok):
        raise wrong("must be a list" + ("" if empty_ok else " with at least one value"))
    for position, item in enumerate(value):
        if not isinstance(item, (list, dict)) and _named(item) in map(_named, value[:position]):
            raise wrong("stands in the list twice; each value once", position)
    return check(value)


def _named(item: Any) -> Any:
    """A number as `routing.cells` writes it into the names of cells, other values as they are."""
    return f"{item + 0.0:.12g}" if isinstance(item, (int, float)) and abs(item) < 1e300 else item


Values = Annotated[tuple[T, ...], WrapValidator(partial(_listed, empty_ok=False))]
ValuesOrNone = Annotated[tuple[T, ...], WrapValidator(partial(_listed, empty_ok=True))]
OneOrMore = BeforeValidator(lambda value: value if isinstance(value, list) else [value])


def below(high: float, why: str = "") -> AfterValidator:
    def check(value: float) -> float:
        if value >= high:
            raise wrong(f"must be below {high:g}{why and f' ({why})'}")
        return value

    return AfterValidator(check)


def _name(value: str) -> str:
    if not re.fullmatch(r"[\w-]+", value):
        raise wrong("a name may hold letters, digits, - and _ (it names files)")
    if value.startswith("-"):
        raise wrong("a name begins with another character than -, which begins an option")
    if (size := len(value.encode())) > LONGEST_NAME:
        raise wrong(f"a name may have {LONGEST_NAME} bytes (it names files), not {size}")
    return value


Name = Annotated[str, AfterValidator(_name)]  # becomes a part of file names


def apart(section: str) -> AfterValidator:
    """Names must differ on disks that do not tell case or composed letters."""

    def check(value: Mapping[str, Any]) -> Mapping[str, Any]:
        seen: dict[str, str] = {}
        for name in value:
            first = seen.setdefault(_on_any_disk(name), name)
            if first != name:
                what = "case" if first.casefold() == name.casefold() else "how its letters are composed"
                raise wrong(
                    f"differs from {section}.{first} in {what} alone, and both name files, "
                    "which are one on some disks", name, KEY,
                )  # fmt: skip
        return value

    return AfterValidator(check)


def _on_any_disk(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def choice(key: str, value: Any, allowed: Iterable[str]) -> str:
    """One of some names that other values give. Raises `SettingsError`."""
    if value not in (names := list(allowed)):
        raise fail(key, value, one_of(*names).allowed(value))
    return str(value)


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
