"""Noise with an address: a run is a pure function of its seed.

Every word of 64 bits comes from Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"),
a counter-based generator, keyed by (seed, task, example id, sample, purpose) with the step as its
counter. It stands for a number in [0, 1), or for the seed of as many numbers as there are tokens (`law.race`).
Neither cell nor batch, worker or order enters, so all cells of an example share their noise; `cell` is given
only for independent coupling.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from random_routing.law.origin import Origin

PURPOSES = ("gate_q", "gate_lambda", "token_model", "token_q", "token_lambda")
GATE = {Origin.Q: 0, Origin.LAMBDA: 1}  # in `PURPOSES`: the word that opens the gate
TOKEN = {Origin.MODEL: 2, Origin.Q: 3, Origin.LAMBDA: 4}  # in `PURPOSES`: the word that draws the token
PATHS = {Origin.Q: "path_q", Origin.LAMBDA: "path_lambda"}  # random paths: many numbers at each step
SUBSAMPLE = "subsample"  # which texts a metric takes where there are too many: one number a text
FROZEN = "frozen"  # the random distribution of a text: many numbers, once
ALL = (*PURPOSES, *PATHS.values(), FROZEN, SUBSAMPLE)


UNIT = 2.0**-53  # a float64 in [0, 1) can hold 53 bits


@dataclass(frozen=True)
class Source:
    """Whose noise it is: a text's address without purpose and step. `cell`: for independent coupling."""

    seed: int
    task: str
    example: str
    sample: int
    cell: str = ""

    def words(self, purpose: str, count: int, step: int | None = None) -> np.ndarray:
        """`count` words of 64 random bits, (count,) uint64; word t does not depend on how many are asked for.

        step: for a purpose that needs many words at each step, the step that they belong to.
        """
        if purpose not in ALL:
            raise ValueError(f"purpose must be one of {ALL}, got {purpose!r}")
        about = [self.seed, self.task, self.example, self.sample, purpose, self.cell]
        address = json.dumps(about if step is None else [*about, step])
        key = hashlib.blake2b(address.encode(), digest_size=16).digest()
        return np.random.Philox(key=int.from_bytes(key, "little")).random_raw(count)

    def uniforms(self, purpose: str, count: int, step: int | None = None) -> np.ndarray:
        """The numbers in [0, 1) of as many words: (count,) float64."""
        return (self.words(purpose, count, step) >> np.uint64(11)) * UNIT

    def steps(self, steps: int) -> np.ndarray:
        """One word a step and purpose: (5, steps) int64, in the order of `PURPOSES`."""
        return np.stack([self.words(purpose, steps) for purpose in PURPOSES]).view(np.int64)


def uniform(words: Tensor) -> Tensor:
    """`Source.uniforms` of words on any device: float64 from int64, of any shape."""
    return ((words >> 11) & (2**53 - 1)).double() * UNIT
