"""What pydantic finds wrong in `params.yaml` as one line: file, key, value, what is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import ValidationError

from random_routing.errors import SettingsError, fail
from random_routing.settings.keys import KEY, KEYS, MAPPING, MISSING, unknown, written

Place = Sequence[Any]  # keys of mappings and positions in lists, from the top


def missing(key: str, why: str = MISSING) -> SettingsError:
    return SettingsError(f"params.yaml: {key} is missing; {why}")


def first_fault(section: Any, raw: Any, error: ValidationError) -> SettingsError:
    """The first in the order of the file, where a missing key stands behind those that are there.

    section: the class that `raw` was validated as.
    """
    places = [((*e["loc"], *e.get("ctx", {}).get("at", ())), e) for e in error.errors(include_url=False)]
    place, first = min(places, key=lambda fault: _order(raw, fault[0]))
    # A key with half a character.
    if first["type"] == "string_unicode" and isinstance(_at(raw, place), dict):
        place, first = (*place, first["input"]), {**first, "type": "unexpected_keyword_argument"}
    if first["type"] in ("invalid_key", "string_type"):
        return fail(_written([step for step in place if step != KEY][:-1]) or "a key", first["input"], KEYS)
    if place[-1] == KEY:
        return fail(_written(place[:-1]), place[-2], first["msg"])
    allowed = {"missing": MISSING, "wrong": first["msg"]}.get(first["type"], MAPPING)
    if first["type"] == "unexpected_keyword_argument":
        allowed = unknown(place[-1], {path[0] for path, _ in written(_section(section, place[:-1]))})
    value = raw
    for i, step in enumerate(place):
        if isinstance(value, dict) and isinstance(step, str) and step not in value:
            return missing(_written(place[: i + 1]), allowed)
        # A short form: a word for a mapping.
        if not isinstance(value, list if isinstance(step, int) else dict):
            return fail(_written(place[:i]), value, allowed)
        value = value[step]
    return fail(_written(place), value, allowed)


def _order(raw: Any, place: Place) -> list[int]:
    order = []
    for step in place:
        if isinstance(raw, dict) and step != KEY:
            order.append(list(raw).index(step) if step in raw else len(raw))
            raw = raw.get(step)
        elif isinstance(raw, list) and isinstance(step, int):
            order.append(step)
            raw = raw[step]
    return order


def _at(raw: Any, place: Place) -> Any:
    for step in place:
        raw = raw[step]
    return raw


def _section(section: Any, place: Place) -> Any:
    """The class of the section at a place."""
    for step in place:
        section = get_type_hints(section)[step] if is_dataclass(section) else get_args(section)[1]
    return section


def _written(place: Place) -> str:
    """Keys and positions as in grid.q[0]."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
