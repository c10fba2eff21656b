"""Noise with an address: a run is a pure function of its seed.

Every number comes from Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"),
a counter-based generator, keyed by (seed, task, example id, sample, purpose) with the step as its
counter. Neither cell nor batch, worker or order enters, so all cells of an example share their
noise; `cell` is given only for independent coupling.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

PURPOSES = ("gate_q", "gate_lambda", "token_model", "token_q", "token_lambda")


def uniforms(
    seed: int, task: str, example: str, sample: int, purpose: str, steps: int, cell: str = ""
) -> np.ndarray:
    """`steps` numbers in [0, 1), float64; number t does not depend on how many are asked for."""
    if purpose not in PURPOSES:
        raise ValueError(f"purpose must be one of {PURPOSES}, got {purpose!r}")
    address = json.dumps([seed, task, example, sample, purpose, cell])
    key = hashlib.blake2b(address.encode(), digest_size=16).digest()
    raw = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(steps)
    return (raw >> np.uint64(11)) * 2.0**-53  # the 53 bits that a float64 in [0, 1) can hold


def step_noise(seed: int, task: str, example: str, sample: int, steps: int, cell: str = "") -> np.ndarray:
    """All purposes of one text: (5, steps) float64, in the order of `PURPOSES`."""
    return np.stack([uniforms(seed, task, example, sample, p, steps, cell) for p in PURPOSES])
