"""A token from a distribution, by an exponential race.

Every token has a clock, an exponential number E that only the clock's address decides. The token x whose E/w(x) is
the least is the one drawn: it has probability w(x)/Σw (the minimum of exponential variables; Devroye 1986,
"Non-Uniform Random Variate Generation", V.2). Nothing is sorted and nothing added up. Distributions that share the
clocks choose the same token nearly as often as they can, so that texts part late.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from random_routing.compiled import compiled, share_out
from random_routing.law.loops import STRIP, WORTHWHILE
from random_routing.law.noise import GAMMA, MIX_1, MIX_2, UNIT, shifted, spread

LN2 = math.log(2)
MANTISSA = 52  # bits of a float64's fraction
ROOT = int(np.float64(math.sqrt(0.5)).view(np.int64))  # the bits of √½
THIRD, FIFTH, SEVENTH, NINTH = 1 / 3, 1 / 5, 1 / 7, 1 / 9
AT_ONCE = 2**24  # clocks that are made together where every operation is a pass over memory
NEARLY = np.float32(1 - 1e-6)  # of a product by which quotients are found: more than three roundings


def race(weights: Tensor, row: Tensor, seed: Tensor) -> Tensor:
    """The winner of each of M races among the tokens of weights[row[i]] by the clocks of seed[i]: (M,) int64.

    weights: (R, V) float32, at least 0, some above it in every row; row, seed: (M,) int64. Equal races are run
    once. A token without weight never wins, and of equals the first does.
    """
    seeds, clock = seed.unique(return_inverse=True)
    # (N,), those of a seed side by side
    races, back = (clock * len(weights) + row).unique(return_inverse=True)
    clock, row = races // len(weights), races % len(weights)
    if weights.is_cuda:
        from random_routing.law.kernels import winners  # Triton is there where a GPU is

        return winners(weights, row, clocks(seeds, weights.shape[1]), clock)[back]
    return _winners(weights, row, seeds, clock)[back]


def _winners(weights: Tensor, row: Tensor, seeds: Tensor, clock: Tensor) -> Tensor:
    """The winners among weights[row[i]] by the clocks of seeds[clock[i]], (N,), clock in ascending order.

    One pass over the weights, with the clocks of one seed in memory.
    """
    winner = torch.empty_like(row)
    edges = torch.searchsorted(clock, torch.arange(len(seeds) + 1))  # where the races of each seed begin
    given = (seeds.numpy().view(np.uint64), edges.numpy(), row.numpy(), weights.numpy(), winner.numpy())
    share_out(_races, len(seeds), len(row) * weights.shape[1] > WORTHWHILE, *given)
    return winner


def clocks(seeds: Tensor, size: int) -> Tensor:
    """Exponential numbers of mean 1, above 0: (S, size) float32, those of token x from the x-th word of `spread`.

    seeds: (S,) int64. The same bits on every processor: integers, and sums, products and quotients that IEEE 754
    rounds in one way only. Within 3e-7 of the exact values, small ones too. On a CPU races make their own as they run,
    by the same operations (tested).
    """
    if seeds.is_cuda:
        from random_routing.law.kernels import clocks as at_once  # Triton is there where a GPU is

        return at_once(seeds, size)
    few = max(1, AT_ONCE // size)
    return torch.cat([_clocks(some, size) for some in seeds.split(few)])


def _clocks(seeds: Tensor, size: int) -> Tensor:
    u = (shifted(spread(seeds, size), 11) | 1).double() * UNIT  # in (0, 1)
    # −log u: u = m·2^k with m in [√½, √2), and log m = 2·atanh s with s = (m − 1)/(m + 1).
    bits = u.view(torch.int64)
    k = (bits - ROOT) >> MANTISSA
    f = (
        (bits - (k << MANTISSA)).view(torch.float64) - 1
    ).float()  # m − 1, which is exact until it is rounded
    s = f / (f + 2)
    z = s * s
    series = z * NINTH + SEVENTH
    for term in (FIFTH, THIRD, 1):
        series = z * series + term
    return -(k.float() * LN2 + s * 2 * series)


@compiled()
def _races(first, last, seeds, edges, row, weights, winner):  # type: ignore[no-untyped-def]
    """The races of seeds[first:last]. For each seed they are from one edge to the next.

    A product with 1/E is within three roundings of the quotient, and much faster: quotients are of tokens alone whose
    lane has a product near the largest.
    """
    size = weights.shape[1]
    times, inverse = np.empty(size, np.float32), np.empty(size, np.float32)
    largest = np.empty(min(STRIP, size), np.float32)  # the largest product of every STRIP-th token
    u, f, k = np.empty(STRIP), np.empty(STRIP, np.float32), np.empty(STRIP, np.float32)
    for i in range(first, last):
        for start in range(0, size, STRIP):
            state = seeds[i] + np.uint64(start) * np.uint64(GAMMA)
            strip_of_clocks(state, times[start : start + STRIP], u, f, k)
        for j in range(size):
            inverse[j] = np.float32(1) / times[j]
        for race in range(edges[i], edges[i + 1]):
            runners = weights[row[race]]
            largest[:] = np.float32(-1)
            for start in range(0, size, STRIP):
                strip, faster = runners[start : start + STRIP], inverse[start : start + STRIP]
                for j in range(len(strip)):
                    largest[j] = max(largest[j], strip[j] * faster[j])
            near, fastest, winner[race] = largest.max() * NEARLY, np.float32(-1), size
            for lane in range(len(largest)):
                if largest[lane] >= near:
                    for j in range(lane, size, STRIP):
                        speed = runners[j] / times[j]
                        if speed > fastest or (speed == fastest and j < winner[race]):
                            fastest, winner[race] = speed, j


@compiled()
def strip_of_clocks(state, times, u, f, k):  # type: ignore[no-untyped-def]
    """`_clocks` of the tokens that follow a state of the generator, by the same operations. u, f, k: room for them."""
    ln2, one, two = np.float32(LN2), np.float32(1), np.float32(2)
    third, fifth, seventh, ninth = (
        np.float32(THIRD),
        np.float32(FIFTH),
        np.float32(SEVENTH),
        np.float32(NINTH),
    )
    bits = u.view(np.int64)
    for j in range(len(times)):
        state += np.uint64(GAMMA)
        x = (state ^ (state >> np.uint64(30))) * np.uint64(MIX_1)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(MIX_2)
        x = x ^ (x >> np.uint64(31))
        u[j] = np.float64(np.int64((x >> np.uint64(11)) | np.uint64(1))) * UNIT
    for j in range(len(times)):
        power = (bits[j] - ROOT) >> MANTISSA
        k[j] = np.float32(power)
        bits[j] -= power << MANTISSA
    for j in range(len(times)):
        f[j] = np.float32(u[j] - 1.0)
    for j in range(len(times)):
        s = f[j] / (f[j] + two)
        z = s * s
        series = z * (z * (z * (z * ninth + seventh) + fifth) + third) + one
        times[j] = -(k[j] * ln2 + s * two * series)
