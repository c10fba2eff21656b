"""The law for a few actions and one agent: what `decode.sampler.Sampler` does for many texts at once.

An agent learns from every step before the next, so that millions of tiny calls come one after the other. Here a step
takes less than a microsecond. The gates' weights are made by `law.gates`, the clocks of the race are those of
`law.race`; the tests compare each action and its origin with the Sampler's.
"""

from __future__ import annotations

import math

import numpy as np

from random_routing.compiled import compiled
from random_routing.law.noise import GATE, TOKEN, UNIT
from random_routing.law.origin import Origin
from random_routing.law.race import strip_of_clocks

MODEL, Q, LAMBDA = (origin.value for origin in Origin)
GATE_Q, GATE_LAMBDA = GATE[Origin.Q], GATE[Origin.LAMBDA]
TOKEN_MODEL, TOKEN_Q, TOKEN_LAMBDA = (TOKEN[origin] for origin in Origin)


@compiled()
def choose(values, heat, rates, scales, k, words, times, u, f, room):  # type: ignore[no-untyped-def]
    """An action and its origin. values: (A,) float32, in place of logits; heat: temperature, 0 for greedy; rates,
    scales, k: (2,) of the two routes, see `noise.Law`; words: (5,) of this step; times, u, f, room: (A,) to work in.
    """
    share = 0.0
    if scales[0] >= 0 or scales[1] >= 0:
        share = entropy(values) / math.log(len(values))
    if uniform(words[GATE_Q]) < opening(rates[0], scales[0], share):
        return routed(values, k[0], words[TOKEN_Q], times), Q
    if uniform(words[GATE_LAMBDA]) < opening(rates[1], scales[1], share):
        return routed(values, k[1], words[TOKEN_LAMBDA], times), LAMBDA
    return exploited(values, heat, words[TOKEN_MODEL], times, u, f, room), MODEL


@compiled()
def uniform(word):  # type: ignore[no-untyped-def]
    """As `law.noise.uniform`."""
    return (word >> np.uint64(11)) * UNIT


@compiled()
def opening(rate, scale, share):  # type: ignore[no-untyped-def]
    """Weight of a gate; of an entropy gate as `law.gates.entropy_weights`."""
    return rate * min(1.0, scale * share) if scale >= 0 else rate


@compiled()
def entropy(values):  # type: ignore[no-untyped-def]
    """H of the softmax of the values, in nats, as `law.base_decoders.Plain.entropy`."""
    top, total, moment = values.max(), 0.0, 0.0
    for value in values:
        weight = np.exp(value - top)
        total += weight
        moment += weight * value
    return max(0.0, math.log(total) - (moment / total - top))


@compiled()
def routed(values, k, word, taken):  # type: ignore[no-untyped-def]
    """An action of δ: any, or where k > 0 one of the k best, the first of equals before the others."""
    size = len(values) if k == 0 else min(k, len(values))
    rank = min(int(uniform(word) * size), size - 1)
    if k == 0:
        return rank
    taken[:] = 0
    best = 0
    for _ in range(rank + 1):
        best = -1
        for action in range(len(values)):
            if taken[action] == 0 and (best < 0 or values[action] > values[best]):
                best = action
        taken[best] = 1
    return best


@compiled()
def exploited(values, heat, word, times, u, f, room):  # type: ignore[no-untyped-def]
    """An action of p: the best, the first of equals; or with heat > 0 by the race among exp(value/heat)."""
    if heat == 0:
        return np.argmax(values)
    top, temperature = values.max(), np.float32(heat)
    strip_of_clocks(word, times, u, f, room)
    winner, fastest = 0, np.float32(-1)
    for action in range(len(values)):
        speed = np.exp((values[action] - top) / temperature) / times[action]
        if speed > fastest:
            winner, fastest = action, speed
    return winner
