"""How decoders compare over tasks that differ in the seed alone: what `data/pooled.json` holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from random_routing.files import sealed, write_json
from random_routing.results.compared import Compared
from random_routing.results.json_form import read_record, to_json

PATH = "data/pooled.json"


@dataclass(frozen=True)
class Pooled:
    """tasks: their names; compared: over all their texts."""

    tasks: list[str]
    compared: Compared

    @property
    def name(self) -> str:
        columns = zip(
            *(task.split("-") for task in self.tasks), strict=False
        )  # textgen-1, textgen-2: textgen
        shared = "-".join(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))
        return f"{shared or self.tasks[0]} ({len(self.tasks)} seeds)"


def write_pooled(found: Sequence[Pooled]) -> None:
    write_json(PATH, sealed({"groups": to_json(list(found))}))


def read_pooled() -> list[Pooled]:
    """Raises `PipelineError` naming the file."""
    groups: list[Pooled] = read_record(PATH, _File, "summarize").groups
    return groups


@dataclass(frozen=True)
class _File:
    groups: list[Pooled]
