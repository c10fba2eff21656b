"""An episode as tokens: padding, the actions, the end, and the digits of a seed, in the order of their ids."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

PAD = 0  # what prompts are padded with; nothing happens
FIRST = 1  # the token of action 0
DIGITS = 16  # values of a digit of the seed, hexadecimal
SEED_DIGITS = 8  # of a prompt


def vocabulary_size(actions: int) -> int:
    return FIRST + actions + 1 + DIGITS


def words(actions: tuple[str, ...]) -> list[str]:
    """The tokenizer's, by id."""
    return ["<pad>", *actions, "<end>", *(f"<{digit:x}>" for digit in range(DIGITS))]


def seed_of(world: str, episode: int) -> int:
    """Of an episode in the world of that name: `SEED_DIGITS` digits that depend on nothing else."""
    digest = hashlib.sha256(f"{world} {episode}".encode()).digest()
    return int.from_bytes(digest, "little") % DIGITS**SEED_DIGITS


def prompt_of(seed: int) -> str:
    return "".join(f"<{digit}>" for digit in f"{seed:0{SEED_DIGITS}x}")


def actions_of(ids: Any) -> np.ndarray:
    """Actions, int64, from the token ids of a text without its end."""
    return np.asarray(ids, dtype=np.int64) - FIRST
