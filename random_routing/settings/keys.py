"""The keys of a section of `params.yaml`: which exist, where they stand, and what is said of unknown ones."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from functools import cache
from typing import Any, get_type_hints

from pydantic import AliasPath, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, PydanticKnownError

STRICT = ConfigDict(extra="forbid")
MAPPING = "must be a mapping (key: value lines) that is not empty"
MISSING, KEYS = "it must be given", "keys must be text"
KEY = "[key]"  # the last step to what is wrong, where that is the key itself


def wrong(allowed: str, *at: Any) -> PydanticCustomError:
    """What a validator raises. at: keys and positions from the value that is validated to the one that is wrong."""
    return PydanticCustomError("wrong", "{allowed}", {"allowed": allowed, "at": at})


def unknown(name: str, known: Collection[str]) -> str:
    return f"unknown key; allowed: {', '.join(sorted(known))}{did_you_mean(name, known)}"


def did_you_mean(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _not_a_key(value: Any) -> Any:
    raise PydanticKnownError("unexpected_keyword_argument")


NotAKey = BeforeValidator(_not_a_key)  # a field that the program fills in
# A mapping, or a key without a value.
OrNone = BeforeValidator(lambda value: {} if value is None else value)


def at(key: str) -> Any:
    """Where the value of a field stands, as in `grid.q`."""
    return Field(validation_alias=AliasPath(*key.split(".")))


@cache
def written(section: Any) -> list[tuple[list[str], tuple[Any, ...]]]:
    """Of each field of a section's class that stands in the file: its key (two where it stands deeper), its marks."""
    fields = []
    for name, hint in get_type_hints(section, include_extras=True).items():
        marks = getattr(hint, "__metadata__", ())
        aliases = [m.validation_alias for m in marks if isinstance(m, FieldInfo) and m.validation_alias]
        path = aliases[0].path if aliases and isinstance(aliases[0], AliasPath) else [*aliases, name][:1]
        if NotAKey not in marks:
            fields.append(([str(key) for key in path], marks))
    return fields


def check_below(section: Any, value: Any) -> Any:
    """pydantic looks at what stands `at` a key, not at what stands beside it."""
    deeper = [path for path, _ in written(section) if len(path) > 1]
    for outer in dict.fromkeys(path[0] for path in deeper):
        if isinstance(value, dict) and outer in value:
            if not isinstance(value[outer], dict) or not value[outer]:
                raise wrong(MAPPING, outer)
            check_keys(value[outer], [path[1] for path in deeper if path[0] == outer], outer)
    return value


def check_keys(value: Any, known: Collection[str], *where: str) -> Any:
    """Returns the value. Raises for a key that is not known; where: its place in the value that is validated."""
    for name in value if isinstance(value, dict) else ():
        if not isinstance(name, str):
            raise wrong(KEYS, *where)
        if name not in known:
            raise wrong(unknown(name, known), *where, name)
    return value


def keyed(*known: str) -> BeforeValidator:
    """A mapping of some keys alone."""
    return BeforeValidator(lambda value: check_keys(value, known))
