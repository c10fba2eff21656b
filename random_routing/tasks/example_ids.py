"""What the tasks share: stable ids, and the generating model's control tokens."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from random_routing.errors import SettingsError
from random_routing.models.tokens import encode_as_text
from random_routing.settings import Task
from random_routing.tasks.usable_records import LeftOut, Record


@dataclass(frozen=True)
class Generator:
    """What preparation needs of the generating model."""

    name: str
    tokenizer: Any
    is_encoder_decoder: bool = False
    # Tokens of a prompt that its context holds beside the new ones; None: no matter how many.
    room: int | None = None

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

    def cannot_take(self, prompt: list[int]) -> bool:
        """Whether a prompt's token ids are more than the model's context holds beside the new ones."""
        return self.room is not None and len(prompt) > self.room

    def too_long(self, task: Task) -> str:
        """Why such a prompt's record is left out."""
        new = "" if self.is_encoder_decoder else f" beside max_new_tokens = {task.max_new_tokens}"
        return f"with a prompt of more than {self.room} tokens, what the context of {self.name} holds{new}"


# After "3 records left out: 2 …".
CONTROL = "with control tokens that the model's tokenizer cannot read as text"


def content_id(content: Any) -> str:
    """12 hexadecimal digits that depend on the content alone."""
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:12]


def in_stable_order(
    items: Iterable[tuple[Any, Record]], left: LeftOut | None = None
) -> list[tuple[str, Record]]:
    """(id, record) of every distinct content, ordered by id: a random order that never changes."""
    first: dict[str, Record] = {}
    for content, record in items:
        if first.setdefault(content_id(content), record) is not record and left:
            left.add("equal to an earlier one", record)
    return sorted(first.items())


def with_ids(prompts: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Prompts by id; equal ones have ids of their own, too, since their noise differs. Raises `SettingsError`."""
    if isinstance(prompts, str) or not len(prompts):
        raise SettingsError("prompts: must be a list of texts, or a mapping from ids to texts")
    if isinstance(prompts, Mapping):
        return {str(name): str(prompt) for name, prompt in prompts.items()}
    seen: Counter[str] = Counter()
    texts = {}
    for prompt in map(str, prompts):
        texts[content_id([prompt, seen[prompt]] if seen[prompt] else prompt)] = prompt
        seen[prompt] += 1
    return texts
