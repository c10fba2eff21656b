"""Files with a bit that changed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path


def flipped(path: Path, times: int) -> Iterator[int]:
    """Damage one bit at keyed places, one after the other, the ends among them; then mend the file."""
    data, key = path.read_bytes(), random.Random(path.name)
    for place in [0, len(data) - 1, *key.sample(range(len(data)), min(times, len(data)))]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << key.randrange(8)
        path.write_bytes(damaged)
        yield place
    path.write_bytes(data)
