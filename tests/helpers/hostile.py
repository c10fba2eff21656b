"""What a hostile file would run if anything ran it: it makes a file."""

from __future__ import annotations

import pickle
from pathlib import Path


class Marker:
    """A pickle of it writes `path` when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")

    @classmethod
    def pickled(cls, path: Path) -> bytes:
        return pickle.dumps(cls(path))
