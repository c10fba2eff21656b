"""What the tasks share: stable ids, and texts that must not carry control tokens."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.checks import PipelineError

HALF = re.compile("[\ud800-\udfff]")  # what no UTF-8 file can hold


@dataclass(frozen=True)
class Generator:
    """What preparation needs of the generating model."""

    name: str
    tokenizer: Any
    is_encoder_decoder: bool = False

    @cached_property
    def _control(self) -> tuple[set[str], set[int]]:
        added = {id_: str(t) for id_, t in self.tokenizer.added_tokens_decoder.items() if t.special}
        ids = {*added, *self.tokenizer.all_special_ids} - {self.tokenizer.unk_token_id}
        return {*added.values(), *self.tokenizer.all_special_tokens}, ids

    def carries_control(self, texts: list[str]) -> bool:
        """Whether a part of an untrusted text would be read as a control token.

        The tokenizer is asked too: some make </s> of a full-width ＜/s＞ first. <unk> alone is no control token.
        """
        tokens, control = self._control
        if any(token in text for text in texts for token in tokens):
            return True
        ids = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return any(not control.isdisjoint(row) for row in ids)


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
