"""Noise with an address: a run is a pure function of its seed.

Every word of 64 bits comes from Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"),
a counter-based generator, keyed by (seed, task, example id, sample, purpose) with the step as its
counter. It stands for a number in [0, 1), or for the seed of many (`spread`): one for each token of a race
(`law.race`), or one for each part of a model that a random path may leave out.
Neither cell nor batch, worker or order enters, so all cells of an example share their noise; `cell` is given
only for independent coupling.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from random_routing.law.origin import Origin

PURPOSES = ("gate_q", "gate_lambda", "token_model", "token_q", "token_lambda", "path_q", "path_lambda")
GATE = {Origin.Q: 0, Origin.LAMBDA: 1}  # in `PURPOSES`: the word that opens the gate
TOKEN = {Origin.MODEL: 2, Origin.Q: 3, Origin.LAMBDA: 4}  # in `PURPOSES`: the word that draws the token
PATH = {Origin.Q: 5, Origin.LAMBDA: 6}  # in `PURPOSES`: the word that draws the random path
SUBSAMPLE = "subsample"  # which texts a metric takes where there are too many: one number a text
FROZEN = "frozen"  # the random distribution of a text: many numbers, once
WORLD = "world"  # what an environment draws: where an episode begins, then one number a step
ALL = (*PURPOSES, FROZEN, SUBSAMPLE, WORLD)

UNIT = 2.0**-53  # a float64 in [0, 1) can hold 53 bits
# SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").
GAMMA, MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


@dataclass(frozen=True)
class Source:
    """Whose noise it is: a text's address without purpose and step. `cell`: for independent coupling."""

    seed: int
    task: str
    example: str
    sample: int
    cell: str = ""

    def words(self, purpose: str, count: int) -> np.ndarray:
        """`count` words of 64 random bits, (count,) uint64; word t does not depend on how many are asked for."""
        if purpose not in ALL:
            raise ValueError(f"purpose must be one of {ALL}, got {purpose!r}")
        address = json.dumps([self.seed, self.task, self.example, self.sample, purpose, self.cell])
        key = hashlib.blake2b(address.encode(), digest_size=16).digest()
        return np.random.Philox(key=int.from_bytes(key, "little")).random_raw(count)

    def uniforms(self, purpose: str, count: int) -> np.ndarray:
        """The numbers in [0, 1) of as many words: (count,) float64."""
        return (self.words(purpose, count) >> np.uint64(11)) * UNIT

    def steps(self, steps: int) -> np.ndarray:
        """One word a step and purpose: (7, steps) int64, in the order of `PURPOSES`."""
        return np.stack([self.words(purpose, steps) for purpose in PURPOSES]).view(np.int64)


def uniform(words: Tensor) -> Tensor:
    """`Source.uniforms` of words on any device: float64 from int64, of any shape."""
    return shifted(words, 11).double() * UNIT


def spread(seeds: Tensor, count: int) -> Tensor:
    """The first `count` words of SplitMix64 from each seed: (S, count) int64 from (S,) int64, on any device.

    Word i of a seed depends on nothing but the two.
    """
    x = seeds[:, None] + torch.arange(1, count + 1, device=seeds.device) * signed(GAMMA)
    x = (x ^ shifted(x, 30)) * signed(MIX_1)
    x = (x ^ shifted(x, 27)) * signed(MIX_2)
    return x ^ shifted(x, 31)


def shifted(x: Tensor, bits: int) -> Tensor:
    """x >> bits of unsigned numbers."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def signed(number: int) -> int:
    """The int64 of the same 64 bits."""
    return number - 2**64 if number >= 2**63 else number
