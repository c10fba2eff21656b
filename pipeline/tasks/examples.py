"""What the tasks share: stable ids, and the generating model's control tokens."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.checks import PipelineError
from pipeline.decoding.tokens import encode_as_text

HALF = re.compile("[\ud800-\udfff]")  # what no UTF-8 file can hold


@dataclass(frozen=True)
class Generator:
    """What preparation needs of the generating model."""

    name: str
    tokenizer: Any
    is_encoder_decoder: bool = False

    @cached_property
    def control_tokens(self) -> list[str]:
        return sorted({*map(str, self._added.values()), *self.tokenizer.all_special_tokens})

    @cached_property
    def _control_ids(self) -> set[int]:
        """<unk> is none."""
        return {*self._added, *self.tokenizer.all_special_ids} - {self.tokenizer.unk_token_id}

    @property
    def _added(self) -> dict[int, Any]:
        return {id_: token for id_, token in self.tokenizer.added_tokens_decoder.items() if token.special}

    def cannot_spell(self, texts: list[str]) -> bool:
        """Whether the tokenizer reads a control token in one of the texts, although it is told that they are text.

        Some have </s> among the pieces that they make words of, and make it of a full-width ＜/s＞ too.
        """
        ids = encode_as_text(self.tokenizer, texts, add_special_tokens=False)["input_ids"]
        return any(not self._control_ids.isdisjoint(row) for row in ids)


def content_id(content: Any) -> str:
    """12 hexadecimal digits that depend on the content alone."""
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:12]


def in_stable_order(items: Iterable[tuple[Any, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    """(id, record) of every distinct content, ordered by id: a random order that never changes."""
    return sorted({content_id(content): record for content, record in items}.items())


def field(record: dict[str, Any], name: str, kind: type) -> Any:
    """A text, or a list of texts. Raises `PipelineError` when a user's record has no such field."""
    if not isinstance(record, dict):
        raise PipelineError(
            f"a record of the data set is no mapping of columns, but {type(record).__name__}"
        )
    value = record.get(name)
    texts: list[Any] = value if isinstance(value, list) else [value]
    if not isinstance(value, kind) or not all(isinstance(text, str) for text in texts):
        raise PipelineError(
            f"a record of the data set has {sorted(record)}; the task needs {name} ({kind.__name__}); "
            "map its columns with `fields` in params.yaml"
        )
    if any(HALF.search(text) for text in texts):
        raise PipelineError(
            f"a record of the data set has half a character (a lone surrogate) in its {name}"
        )
    return value
