"""Noise with an address: a run is a pure function of its seed.

Every number comes from Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"),
a counter-based generator, keyed by (seed, task, example id, sample, purpose) with the step as its
counter. Neither cell nor batch, worker or order enters, so all cells of an example share their
noise; `cell` is given only for independent coupling.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from random_routing.law.origin import Origin

PURPOSES = ("gate_q", "gate_lambda", "token_model", "token_q", "token_lambda")
GATE = {Origin.Q: 0, Origin.LAMBDA: 1}  # in `PURPOSES`: the number that opens the gate
TOKEN = {Origin.MODEL: 2, Origin.Q: 3, Origin.LAMBDA: 4}  # in `PURPOSES`: the number that draws the token
PATHS = {Origin.Q: "path_q", Origin.LAMBDA: "path_lambda"}  # random paths: many numbers at each step
SUBSAMPLE = "subsample"  # which texts a metric takes where there are too many: one number a text
FROZEN = "frozen"  # the random distribution of a text: many numbers, once
ALL = (*PURPOSES, *PATHS.values(), FROZEN, SUBSAMPLE)


def uniforms(
    seed: int,
    task: str,
    example: str,
    sample: int,
    purpose: str,
    steps: int,
    cell: str = "",
    step: int | None = None,
) -> np.ndarray:
    """`steps` numbers in [0, 1), float64; number t does not depend on how many are asked for.

    `step`: for a purpose that needs many numbers at each step, the step that they belong to.
    """
    if purpose not in ALL:
        raise ValueError(f"purpose must be one of {ALL}, got {purpose!r}")
    address = json.dumps([seed, task, example, sample, purpose, cell, *([] if step is None else [step])])
    key = hashlib.blake2b(address.encode(), digest_size=16).digest()
    raw = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(steps)
    return (raw >> np.uint64(11)) * 2.0**-53  # the 53 bits that a float64 in [0, 1) can hold


@dataclass(frozen=True)
class Source:
    """Whose noise it is: a text's address without purpose and step. `cell`: for independent coupling."""

    seed: int
    task: str
    example: str
    sample: int
    cell: str = ""

    def steps(self, steps: int) -> np.ndarray:
        """One number a step and purpose: (5, steps) float64, in the order of `PURPOSES`."""
        return np.stack([self._uniforms(purpose, steps) for purpose in PURPOSES])

    def path(self, purpose: str, step: int, count: int) -> np.ndarray:
        """(count,) numbers of a random path at one step; purpose: one of `PATHS`' values."""
        return self._uniforms(purpose, count, step)

    def frozen(self, count: int) -> np.ndarray:
        """(count,) numbers of the text's own random distribution."""
        return self._uniforms(FROZEN, count)

    def _uniforms(self, purpose: str, count: int, step: int | None = None) -> np.ndarray:
        return uniforms(self.seed, self.task, self.example, self.sample, purpose, count, self.cell, step)
