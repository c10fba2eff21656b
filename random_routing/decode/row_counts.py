"""What decoding took."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass
class Work:
    """Rows computed by the model, those run again along random paths among them, and tokens delivered
    to texts (what a loop over them would compute). texts: whole ones, counted by who asked for them."""

    texts: int = 0
    rows: int = 0
    walked: int = 0
    delivered: int = 0
    model_seconds: float = 0.0
    choice_seconds: float = 0.0

    def __iadd__(self, other: Work) -> Work:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self
