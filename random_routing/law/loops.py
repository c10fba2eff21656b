"""What a step looks up in a whole vocabulary, in a few passes over memory on a CPU.

Compiled loops that take a strip of tokens at a time, whose numbers stay in a core's own cache. Every operation is IEEE
754's, in an order that the row alone fixes: the same bits beside any rows and on every processor.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from random_routing.compiled import compiled, share_out

STRIP = 1_024  # tokens; sums are of every STRIP-th token in float32, and of these sums in float64
WORTHWHILE = 2**16  # tokens of all rows for which other threads are woken
NEAR = np.float32(np.exp(-10.0))  # weights above are nearly always enough for a truncation

# e^x = 2^k·e^r with k the integer nearest to x/log 2: what is added to MAGIC is rounded to one. log 2 is in two parts;
# k times the first is exact. The polynomial is that of Cephes (Moshier 1989); within 1e-7 of e^x.
MAGIC, LOG2_E = np.float32(1.5 * 2**23), np.float32(1.44269504)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
P5, P4, P3 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
P2, P1, P0 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
ONE, ZERO = np.float32(1), np.float32(0)
EXPONENT = np.int32(23)  # where a float32 has it
BIAS = np.int32(127 - 0x4B400000)  # of the exponent, less the bits of MAGIC
LEAST = np.float32(-87.0)  # of x; e^x of smaller ones is 0


@compiled()
def _strip(size):  # type: ignore[no-untyped-def]
    return np.empty(min(STRIP, size), np.float32)


@compiled()
def exponentials(x, made, work):  # type: ignore[no-untyped-def]
    """e^x of numbers of at most 0; NaN stays NaN. x, made, work: (n,) float32."""
    bits = work.view(np.int32)
    for j in range(len(x)):
        work[j] = (LEAST if x[j] < LEAST else x[j]) * LOG2_E + MAGIC
    for j in range(len(x)):
        k = work[j] - MAGIC
        r = ((LEAST if x[j] < LEAST else x[j]) - k * LN2_HIGH) - k * LN2_LOW
        series = ((((P5 * r + P4) * r + P3) * r + P2) * r + P1) * r + P0
        bits[j] = (bits[j] + BIAS) << EXPONENT
        made[j] = ZERO if x[j] < LEAST else (series * (r * r) + r + ONE) * work[j]


@compiled()
def _read(bits, shift, x):  # type: ignore[no-untyped-def]
    """Logits (n,) from their bits."""
    whole = x.view(np.int32)
    for j in range(len(bits)):
        whole[j] = np.int32(bits[j]) << shift


@compiled()
def _weigh(bits, shift, highest, heat, x, distance, work, weights, mass):  # type: ignore[no-untyped-def]
    """The logits (n,) of a strip, into x; their weights exp((x − max x)/T), added to `mass`. The others are room."""
    _read(bits, shift, x)
    n = len(bits)
    for j in range(n):
        distance[j] = x[j] - highest
    if heat != ONE:
        for j in range(n):
            distance[j] /= heat
    exponentials(distance[:n], weights, work)
    for j in range(n):
        mass[j] += weights[j]


@compiled()
def _sum(lanes):  # type: ignore[no-untyped-def]
    total = 0.0
    for lane in lanes:
        total += lane
    return total


@compiled()
def _softmax(first, last, bits, shift, weights, top, total, moment):  # type: ignore[no-untyped-def]
    size = bits.shape[1]
    x, distance, work = _strip(size), _strip(size), _strip(size)
    high, mass, product = _strip(size), _strip(size), _strip(size)
    for row in range(first, last):
        high[:] = -np.inf
        for start in range(0, size, STRIP):
            n = min(STRIP, size - start)
            _read(bits[row, start : start + n], shift, x)
            for j in range(n):
                high[j] = x[j] if x[j] > high[j] else high[j]
        highest = high.max()
        mass[:], product[:] = ZERO, ZERO
        for start in range(0, size, STRIP):
            weight = weights[row, start : start + STRIP]
            logits = bits[row, start : start + STRIP]
            _weigh(logits, shift, highest, ONE, x, distance, work, weight, mass)
            for j in range(len(weight)):
                product[j] += weight[j] * x[j] if weight[j] != ZERO else ZERO
        total[row], moment[row] = _sum(mass), _sum(product)
        top[row] = highest if np.isfinite(total[row]) else np.nan


def softmax(logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights exp(x − max x), (R, V); max x, (R, 1), not finite where a logit is NaN or +∞, or all are −∞; Σ weights
    and Σ weights·x, (R,) float64. logits: (R, V) float32 or bfloat16.
    """
    rows = len(logits)
    weights, top = torch.empty(logits.shape), torch.empty(rows, 1)
    total, moment = torch.empty(2, rows, dtype=torch.float64)
    made = (weights.numpy(), top.numpy()[:, 0], total.numpy(), moment.numpy())
    share_out(_softmax, rows, logits.numel() > WORTHWHILE, *_bits(logits), *made)
    return weights, top, total, moment


@compiled()
def _collect(weights, least, room):  # type: ignore[no-untyped-def]
    """Puts the weights that are at least `least` into `room`; how many, and their sum."""
    count, mass = 0, 0.0
    for weight in weights:
        room[count] = weight
        count += 1 if weight >= least else 0
    for j in range(count):
        mass += room[j]
    return count, mass


@compiled()
def _edge(weights, goal, by_mass, room):  # type: ignore[no-untyped-def]
    """The weight with which the largest reach the goal: in number, or in mass.

    Weights are parted into larger, equal and smaller ones than one of them until it is found (Hoare 1961, "Algorithm
    65: find").
    """
    count, mass = _collect(weights, NEAR, room)
    if (mass if by_mass else count) < goal:
        count, mass = _collect(weights, ZERO, room)
    low, high, above = 0, count, 0.0  # what is sought lies in room[low:high]; what all larger ones have
    while True:
        size, anywhere = high - low, low * 40_503 + high * 2_654_435_761  # no order of tokens is a bad one
        one, other = room[low + anywhere % size], room[low + (anywhere >> 8) % size]
        third = room[low + (anywhere >> 16) % size]
        pivot = max(min(one, other), min(max(one, other), third))
        larger, j, smaller, more, same = low, low, high, 0.0, 0.0
        while j < smaller:
            weight = room[j]
            if weight > pivot:
                room[j], room[larger] = room[larger], weight
                larger, j = larger + 1, j + 1
                more += weight if by_mass else 1.0
            elif weight < pivot:
                smaller -= 1
                room[j], room[smaller] = room[smaller], weight
            else:
                j += 1
                same += weight if by_mass else 1.0
        if more > 0 and above + more >= goal:
            high = larger
        elif above + more + same >= goal or smaller == high:
            return pivot  # or the least of all, whose sum is the goal but for rounding
        else:
            low, above = smaller, above + more + same


@compiled()
def _cut(weights, least, mass):  # type: ignore[no-untyped-def]
    """Leaves out what is below `least`; the sum of what is left."""
    mass[:] = ZERO
    for start in range(0, len(weights), STRIP):
        strip = weights[start : start + STRIP]
        for j in range(len(strip)):
            strip[j] = strip[j] if strip[j] >= least else ZERO
            mass[j] += strip[j]
    return _sum(mass)


@compiled()
def _first(bits, shift, sought, x):  # type: ignore[no-untyped-def]
    """The first token with a logit."""
    for start in range(0, len(bits), STRIP):
        n = min(STRIP, len(bits) - start)
        _read(bits[start : start + n], shift, x)
        for j in range(n):
            if x[j] == sought:
                return start + j
    return 0


@compiled()
def _under(  # type: ignore[no-untyped-def]
    first, last, bits, shift, top, row, heat, top_k, top_p, min_p, greedy, weights, total
):
    size = bits.shape[1]
    x, distance, work = _strip(size), _strip(size), _strip(size)
    mass, room = _strip(size), np.empty(size + 1, np.float32)
    for pair in range(first, last):
        logits, highest, weight = bits[row[pair]], top[row[pair]], weights[pair]
        if greedy[pair]:
            weight[:] = ZERO
            weight[_first(logits, shift, highest, x)] = ONE
            total[pair] = 1.0
            continue
        mass[:] = ZERO
        for start in range(0, size, STRIP):
            strip, end = weight[start : start + STRIP], start + STRIP
            _weigh(logits[start:end], shift, highest, heat[pair], x, distance, work, strip, mass)
        left = _sum(mass)
        if top_k[pair] > 0:
            left = _cut(weight, _edge(weight, min(top_k[pair], size), False, room), mass)
        if top_p[pair] < 1:
            left = _cut(weight, _edge(weight, left * top_p[pair], True, room), mass)
        if min_p[pair] > 0:
            left = _cut(weight, min_p[pair], mass)
        total[pair] = left


def under(logits: Tensor, top: Tensor, row: Tensor, columns: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Weights (N, V) of row[i] under the i-th base, and their sums, (N,) float64. logits: (R, V), top: (R, 1) float32.

    columns: of `Bases`, (N,) each: temperature, then top_k, top_p and min_p; greedy leaves the first of the likeliest.
    """
    pairs = len(row)
    weights, total = torch.empty(pairs, logits.shape[1]), torch.empty(pairs, dtype=torch.float64)
    heat, min_p = (columns[name].float().numpy() for name in ("temperature", "min_p"))
    top_k, greedy = columns["top_k"].long().numpy(), columns["greedy"].bool().numpy()
    given = (top.numpy()[:, 0], row.numpy(), heat, top_k, columns["top_p"].numpy(), min_p, greedy)
    made = (weights.numpy(), total.numpy())
    share_out(_under, pairs, weights.numel() > WORTHWHILE, *_bits(logits), *given, *made)
    return weights, total


@compiled()
def _above(first, last, bits, shift, row, token, rank):  # type: ignore[no-untyped-def]
    x, own = _strip(bits.shape[1]), np.empty(1, np.float32)
    for asked in range(first, last):
        logits, rank[asked] = bits[row[asked]], 1
        _read(logits[token[asked] : token[asked] + 1], shift, own)
        for start in range(0, len(logits), STRIP):
            n, above = min(STRIP, len(logits) - start), np.int32(0)
            _read(logits[start : start + n], shift, x)
            for j in range(n):
                above += np.int32(x[j] > own[0])
            rank[asked] += above


def ranks(logits: Tensor, row: Tensor, token: Tensor) -> Tensor:
    """1 + how many tokens of row[i] have a higher logit than token[i]: (M,) int64. logits: (R, V)."""
    rank, busy = torch.empty_like(row), len(row) * logits.shape[1] > WORTHWHILE
    share_out(_above, len(row), busy, *_bits(logits), row.numpy(), token.numpy(), rank.numpy())
    return rank


def _bits(logits: Tensor) -> tuple[np.ndarray, np.int32]:
    """Logits as integers of their bits, and how far left these stand in a float32: a bfloat16 is its upper half."""
    half = logits.dtype == torch.bfloat16
    whole = (logits if half else logits.float()).contiguous()
    return whole.view(torch.int16 if half else torch.int32).numpy(), np.int32(16 if half else 0)
