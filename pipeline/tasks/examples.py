"""What the tasks share: stable ids, and texts that must not carry control tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.checks import PipelineError


@dataclass(frozen=True)
class Generator:
    """What preparation needs of the generating model."""

    name: str
    tokenizer: Any
    is_encoder_decoder: bool = False

    def control_tokens(self) -> list[str]:
        added = self.tokenizer.added_tokens_decoder.values()
        special = {str(token) for token in added if token.special}
        return sorted(special | set(self.tokenizer.all_special_tokens))


def content_id(content: Any) -> str:
    """12 hexadecimal digits that depend on the content alone."""
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:12]


def in_stable_order(items: Iterable[tuple[Any, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    """(id, record) of every distinct content, ordered by id: a random order that never changes."""
    return sorted({content_id(content): record for content, record in items}.items())


def carries_control(texts: Iterable[str], control: Iterable[str]) -> bool:
    """Whether untrusted text would be read as a control token."""
    return any(token in text for text in texts for token in control)


def field(record: dict[str, Any], name: str, kind: type) -> Any:
    """A text, or a list of texts. Raises `PipelineError` when a user's record has no such field."""
    value = record.get(name)
    texts = value if isinstance(value, list) else [value]
    if not isinstance(value, kind) or not all(isinstance(text, str) for text in texts):
        raise PipelineError(
            f"a record of the data set has {sorted(record)}; the task needs {name} ({kind.__name__}); "
            "map its columns with `fields` in params.yaml"
        )
    return value
