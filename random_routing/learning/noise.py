"""The random numbers of an agent's life, and what its law makes of them before it begins.

A life is one text of the law: its noise is keyed by (seed, entry, number of the run, purpose), and step t of episode e
is step e·W + t of the text, with W steps of an episode (one more than are taken: Sarsa chooses an action more). A
schedule runs over the episodes, and over the steps of a bandit, whose life is one episode. Gates begin anew with every
episode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from random_routing.law.cells import Decoder, gate_rates
from random_routing.law.gates import weights
from random_routing.law.noise import GATE, PURPOSES, TOKEN, UNIT, WORLD, Source
from random_routing.law.origin import Origin
from random_routing.law.schedules import step_bases
from random_routing.settings import Learning

DRAWN = PURPOSES[:5]  # the words of a step: two gates, three tokens


@dataclass(frozen=True)
class Noise:
    """words: (5, E, W) uint64 in the order of `PURPOSES`; u: those of the gates as numbers in [0, 1), (2, E, W); world:
    numbers in [0, 1), (E, W), of a bandit (arms + steps,)."""

    words: np.ndarray
    u: np.ndarray
    world: np.ndarray


def noise_of(entry: Learning, source: Source) -> Noise:
    shape = (1, entry.steps) if entry.bandit else (entry.episodes, entry.max_steps + 1)
    words = np.stack([source.words(purpose, shape[0] * shape[1]) for purpose in DRAWN]).reshape(-1, *shape)
    world = source.uniforms(WORLD, entry.arms + shape[0] * shape[1])
    u = (words[: len(GATE)] >> np.uint64(11)) * UNIT
    return Noise(words, u, world if entry.bandit else world.reshape(shape))


@dataclass(frozen=True)
class Law:
    """What `acting.choose` takes. heat: temperature of each unit (episode or a bandit's step), 0 for greedy;
    rates: (2, E, W) weights of the gates; scales: (2,) of entropy gates, −1 for others; k: (2,) of top_k, 0 for
    uniform; words: (5, E, W)."""

    heat: np.ndarray
    rates: np.ndarray
    scales: np.ndarray
    k: np.ndarray
    words: np.ndarray


def law_of(decoder: Decoder, repeat: bool, noise: Noise, units: int) -> Law:
    rates = np.stack([_weights(decoder, origin, noise, units) for origin in GATE])
    bases = step_bases(decoder.base, units)
    gates = [decoder.gates[origin] for origin in GATE]
    return Law(
        heat=np.array([0.0 if base.greedy else float(base.temperature) for base in bases]),  # type: ignore[arg-type]
        rates=rates,
        scales=np.array([gate.scale if gate.kind == "entropy" else -1.0 for gate in gates]),
        k=np.array([decoder.routes[origin].k for origin in GATE]),
        words=_repeated(noise.words, rates[GATE[Origin.Q]] > 0) if repeat else noise.words,
    )


def _weights(decoder: Decoder, origin: Origin, noise: Noise, units: int) -> np.ndarray:
    """Weight of a gate at each step: (E, W)."""
    gate, u = decoder.gates[origin], noise.u[GATE[origin]]
    rates = gate_rates(decoder, units)[origin]
    if len(u) == 1 and units > 1:  # a schedule over the steps of one episode
        return np.ascontiguousarray(weights(gate, rates, u))
    if (rates == rates[0]).all():
        return np.ascontiguousarray(weights(gate, np.full(u.shape[1], rates[0]), u))
    rows = [weights(gate, np.full(u.shape[1], rate), u[[e]]) for e, rate in enumerate(rates)]
    return np.concatenate(rows)


def _repeated(words: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The words, where token_q of each step inside a span is that of the span's first. inside: (E, W) bool."""
    before = np.concatenate([np.zeros_like(inside[:, :1]), inside[:, :-1]], axis=1)
    place = np.arange(inside.shape[1])
    first = np.maximum.accumulate(np.where(inside & ~before, place, 0), axis=1)
    held, token = words.copy(), TOKEN[Origin.Q]
    held[token] = np.take_along_axis(words[token], np.where(inside, first, place), axis=1)
    return held
