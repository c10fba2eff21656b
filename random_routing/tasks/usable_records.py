"""Which records a task can use; the others are left out and counted, each reason with its first record."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from random_routing.errors import SHORT
from random_routing.settings import FAULT, ORIGIN

HALF = re.compile("[\ud800-\udfff]")  # what no UTF-8 file can hold
MISSING = object()  # in place of a value
Record = dict[str, Any]


@dataclass
class LeftOut:
    """columns: of the data set, for the fields that `fields` maps; counts, first: reason → records, the first one."""

    columns: Mapping[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)
    merged: int = 0  # records whose references went to an earlier one of the same source

    def add(self, reason: str, record: Record, name: str = "", value: Any = MISSING) -> None:
        """reason: the end of "3 records …"; name, value: of the field that is to blame."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        shown = [record[ORIGIN]] if ORIGIN in record else []
        shown += [f"column {self.columns[name]!r}"] if name in self.columns else []
        shown += [] if value is MISSING else [SHORT.repr(value)]
        self.first.setdefault(reason, f" (first: {', '.join(shown)})" if shown else "")

    @property
    def after(self) -> str:
        """For the end of a line, if there is anything to say."""
        return f"; {self}" if str(self) else ""

    def __str__(self) -> str:
        """Empty where no record was left out."""
        reasons = [f"{count} {reason}{self.first[reason]}" for reason, count in self.counts.items()]
        left = [f"records left out: {', '.join(reasons)}"] if reasons else []
        return "; ".join(left + [f"{self.merged} merged with one of the same source"] * bool(self.merged))


def usable(records: Iterable[Any], needed: dict[str, type], left: LeftOut) -> Iterator[Record]:
    """Those whose fields are texts, or lists of texts, that are not empty. needed: field → str or list."""
    for record in records:
        if not isinstance(record, dict):
            left.add("that are no mapping of columns", {}, value=record)
        elif FAULT in record:
            left.add(record[FAULT], record)
        elif all(_is_usable(record, name, kind, left) for name, kind in needed.items()):
            yield record


def _is_usable(record: Record, name: str, kind: type, left: LeftOut) -> bool:
    value = record.get(name, MISSING)
    items = value if isinstance(value, list) and value and kind is list else [value]
    wrong = next((fault for item in items if (fault := fault_of(item))), "")
    if not wrong and not isinstance(value, kind):
        wrong = "is no list of texts"
    if wrong:
        left.add(f"whose {name} {wrong}", record, name, value)
    return not wrong


def fault_of(text: Any) -> str:
    """What is wrong with a text, after "whose … "; empty: nothing is."""
    if text is MISSING:
        return "is missing"
    if text is None:
        return "is null"
    if not isinstance(text, str):
        return "is no text"
    if not text.strip():
        return "is empty"
    return "holds half a character (a lone surrogate)" if HALF.search(text) else ""
