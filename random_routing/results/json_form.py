"""Dataclasses as JSON and back.

A number without a value is NaN here and null there. A field whose value is its default is left out; the others are
always written.
"""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from random_routing.errors import PipelineError
from random_routing.files import read_json

IN_FILES = {"lam": "lambda"}  # a word that Python keeps for itself


def to_json(value: Any) -> Any:
    """What JSON can hold of a record, and of what is made of records."""
    if dataclasses.is_dataclass(value):
        items = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return {_name(field): to_json(item) for field, item in items if not _is_default(field, item)}
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_json(kind: Any, value: Any) -> Any:
    """The record of a dataclass that `to_json` wrote. Raises Python's own errors where the JSON has another form."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is UnionType:  # X | None
        kinds = [part for part in parts if part is not NoneType]
        return None if value is None else from_json(kinds[0], value)
    if origin is dict:
        return {key: from_json(parts[1], item) for key, item in value.items()}
    if origin in (list, tuple):
        return origin(from_json(parts[0], item) for item in value)
    if kind is float:
        return math.nan if value is None else float(value)
    if not dataclasses.is_dataclass(kind):
        return value
    hints, fields = _hints(kind), dataclasses.fields(kind)  # type: ignore[arg-type]
    present = [field for field in fields if _name(field) in value or not _has_default(field)]
    values = {field.name: from_json(hints[field.name], value[_name(field)]) for field in present}
    return kind(**values)  # type: ignore[operator]


def read_record(path: str, kind: Any, stage: str) -> Any:
    """The record in a JSON file that `stage` wrote. Raises `PipelineError` naming the file."""
    raw = read_json(path)
    try:
        return from_json(kind, raw)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PipelineError(
            f"{path}: not as its stage writes it ({error!r}); run dvc repro {stage}"
        ) from None


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _name(field: dataclasses.Field[Any]) -> str:
    return IN_FILES.get(field.name, field.name)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return _default(field) is not dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    return _has_default(field) and to_json(value) == to_json(_default(field))  # NaN equals NaN there
