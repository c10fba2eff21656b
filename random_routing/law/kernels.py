"""What a step looks up in a whole vocabulary, in one pass over memory each on a GPU.

Each program has a row of its own, so that the rows beside it change nothing. Imported only where there is a GPU:
Triton comes with torch's CUDA builds.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from random_routing.law import noise, race

AT_ONCE = 4_096  # tokens
# Of truncations: tokens, and tokens that are compared with 16 floats. More would need more registers.
SOME, TRIED = 2_048, 512
NEAR = 10.0  # distance at T = 1: weights above e⁻¹⁰ of the likeliest's


@triton.jit  # type: ignore[untyped-decorator]
def _clocks(  # type: ignore[no-untyped-def]
    seeds, times, size, GAMMA: tl.constexpr, MIX_1: tl.constexpr, MIX_2: tl.constexpr, ROOT: tl.constexpr,
    LN2: tl.constexpr, AT_ONCE: tl.constexpr,
):  # fmt: skip
    clock, token = tl.program_id(0).to(tl.int64), tl.program_id(1) * AT_ONCE + tl.arange(0, AT_ONCE)
    seed = tl.load(seeds + clock).to(tl.uint64, bitcast=True)
    x = seed + (token + 1).to(tl.uint64) * GAMMA
    x = (x ^ (x >> 30)) * MIX_1
    x = (x ^ (x >> 27)) * MIX_2
    x = x ^ (x >> 31)
    u = ((x >> 11) | 1).to(tl.int64).to(tl.float64) * (1.0 / 9007199254740992.0)  # 2^53
    bits = u.to(tl.int64, bitcast=True)
    k = (bits - ROOT) >> 52
    f = ((bits - (k << 52)).to(tl.float64, bitcast=True) - 1.0).to(tl.float32)
    s = tl.div_rn(f, f + 2.0)
    z = s * s
    series = z * (1.0 / 9.0) + (1.0 / 7.0)
    series = z * series + (1.0 / 5.0)
    series = z * series + (1.0 / 3.0)
    series = z * series + 1.0
    time = -(k.to(tl.float32) * LN2 + s * 2.0 * series)
    tl.store(times + clock * size + token, time, mask=token < size)


def clocks(seeds: Tensor, size: int) -> Tensor:
    """`law.race.clocks` (S, size), by the same operations, none of which are fused: the same bits."""
    times = torch.empty(len(seeds), size, device=seeds.device)
    if len(seeds):
        _clocks[(len(seeds), triton.cdiv(size, 1_024))](
            seeds, times, size, GAMMA=noise.GAMMA, MIX_1=noise.MIX_1, MIX_2=noise.MIX_2, ROOT=race.ROOT, LN2=race.LN2,
            AT_ONCE=1_024, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
    return times


@triton.jit  # type: ignore[untyped-decorator]
def _race(weights, row, times, clock, winner, size, AT_ONCE: tl.constexpr):  # type: ignore[no-untyped-def]
    race, lane = tl.program_id(0), tl.arange(0, AT_ONCE)
    weight = weights + tl.load(row + race) * size
    time = times + tl.load(clock + race) * size
    best = tl.full([AT_ONCE], -1.0, tl.float32)
    place = tl.zeros([AT_ONCE], tl.int32)
    for start in range(0, size, AT_ONCE):
        token = start + lane
        there = token < size
        # As IEEE 754 rounds it, so that a CPU finds the same winner.
        speed = tl.div_rn(
            tl.load(weight + token, mask=there, other=-1.0), tl.load(time + token, mask=there, other=1.0)
        )
        ahead = speed > best
        best = tl.where(ahead, speed, best)
        place = tl.where(ahead, token, place)
    first = tl.min(tl.where(best == tl.max(best, 0), place, size), 0)
    tl.store(winner + race, first.to(tl.int64))


def winners(weights: Tensor, row: Tensor, times: Tensor, clock: Tensor) -> Tensor:
    """Of each race the token with the largest weights[row[i]]/times[clock[i]], the first of equals: (M,) int64.

    weights: (R, V) and times: (S, V) float32; row, clock: (M,) int64.
    """
    winner = torch.empty_like(row)
    if len(row):
        size = weights.shape[1]
        _race[(len(row),)](
            weights.contiguous(), row, times, clock, winner, size, AT_ONCE=AT_ONCE, num_warps=8
        )
    return winner


@triton.jit  # type: ignore[untyped-decorator]
def _above(logits, row, token, rank, size, AT_ONCE: tl.constexpr):  # type: ignore[no-untyped-def]
    asked, lane = tl.program_id(0), tl.arange(0, AT_ONCE)
    scores = logits + tl.load(row + asked) * size
    own = tl.load(scores + tl.load(token + asked))
    above = tl.zeros([AT_ONCE], tl.int32)
    for start in range(0, size, AT_ONCE):
        other = tl.load(scores + start + lane, mask=start + lane < size, other=float("-inf"))
        above += (other > own).to(tl.int32)
    tl.store(rank + asked, tl.sum(above, 0).to(tl.int64) + 1)


def ranks(logits: Tensor, row: Tensor, token: Tensor) -> Tensor:
    """1 + how many tokens of row[i] have a higher logit than token[i]: (M,) int64. logits: (R, V)."""
    rank = torch.empty_like(row)
    if len(row):
        _above[(len(row),)](
            logits.contiguous(), row, token, rank, logits.shape[1], AT_ONCE=AT_ONCE, num_warps=8
        )
    return rank


@triton.jit  # type: ignore[untyped-decorator]
def _softmax(logits, weights, top, total, moment, size, AT_ONCE: tl.constexpr):  # type: ignore[no-untyped-def]
    row, lane = tl.program_id(0).to(tl.int64), tl.arange(0, AT_ONCE)
    scores = logits + row * size
    high = tl.full([AT_ONCE], float("-inf"), tl.float32)
    odd = tl.zeros([AT_ONCE], tl.int32)
    for start in range(0, size, AT_ONCE):
        score = tl.load(scores + start + lane, mask=start + lane < size, other=float("-inf")).to(tl.float32)
        odd |= (score != score).to(tl.int32)
        high = tl.maximum(high, score)
    highest = tl.where(tl.max(odd, 0) > 0, float("nan"), tl.max(high, 0))
    tl.store(top + row, highest)
    mass = tl.zeros([AT_ONCE], tl.float32)  # every AT_ONCE-th token in float32, these sums in float64
    first = tl.zeros([AT_ONCE], tl.float32)
    for start in range(0, size, AT_ONCE):
        there = start + lane < size
        score = tl.load(scores + start + lane, mask=there, other=float("-inf")).to(tl.float32)
        weight = tl.exp(score - highest)
        tl.store(weights + row * size + start + lane, weight, mask=there)
        mass += weight
        first += tl.where(weight > 0.0, weight * score, 0.0)
    tl.store(total + row, tl.sum(mass.to(tl.float64), 0))
    tl.store(moment + row, tl.sum(first.to(tl.float64), 0))


def softmax(logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights exp(x − max x), (R, V); max x, (R, 1), NaN where a logit is; Σ weights and Σ weights·x, (R,) float64.

    logits: (R, V), widened to float32.
    """
    rows, size = logits.shape
    weights = torch.empty(logits.shape, device=logits.device)
    top = weights.new_empty(rows, 1)
    total, moment = (logits.new_empty(rows, dtype=torch.float64) for _ in range(2))
    if rows:
        _softmax[(rows,)](
            logits.contiguous(), weights, top, total, moment, size, AT_ONCE=AT_ONCE, num_warps=8
        )
    return weights, top, total, moment


@triton.jit
def _distance(scores, token, size, highest):  # type: ignore[no-untyped-def]
    """max x − x of tokens, infinite beyond the last."""
    return highest - tl.load(scores + token, mask=token < size, other=float("-inf")).to(tl.float32)


@triton.jit
def _weight(distance, heat):  # type: ignore[no-untyped-def]
    """exp((x − max x)/T)."""
    return tl.exp(tl.where(heat == 1.0, -distance, -distance / heat))


@triton.jit
def _bits(distance):  # type: ignore[no-untyped-def]
    """Integers in the order of floats that are not negative."""
    return distance.to(tl.int32, bitcast=True)


@triton.jit
def _with_digit(edge, place, reached, goal):  # type: ignore[no-untyped-def]
    """The edge with the largest digit up to which the goal is not reached."""
    digit = tl.arange(0, 16)
    short = (tl.sum(reached.to(tl.float64), 1) < goal) & ((place > 0) | (digit < 8))  # no sign
    return edge | (tl.max(tl.where(short, digit, 0), 0) << (28 - 4 * place))


@triton.jit  # type: ignore[untyped-decorator]
def _collect(  # type: ignore[no-untyped-def]
    scores, highest, heat, room, limit, size, MASS: tl.constexpr, AT_ONCE: tl.constexpr
):
    """Puts the distances of the tokens within the limit into `room`; how many, and what they have together."""
    count = limit * 0
    mass = tl.zeros([AT_ONCE], tl.float32)
    tl.debug_barrier()  # what was in `room` before has been read
    for start in range(0, size, AT_ONCE):
        token = start + tl.arange(0, AT_ONCE)
        distance = _distance(scores, token, size, highest)
        near = ((_bits(distance) <= limit) & (token < size)).to(tl.int32)
        tl.store(room + count + tl.cumsum(near, 0) - 1, distance, mask=near > 0)
        count += tl.sum(near, 0)
        mass += tl.where(near > 0, _weight(distance, heat) if MASS else 1.0, 0.0)
    tl.debug_barrier()  # what other threads wrote is read now
    return count, tl.sum(mass.to(tl.float64), 0)


@triton.jit  # type: ignore[untyped-decorator]
def _edge(  # type: ignore[no-untyped-def]
    scores, highest, heat, room, goal, limit, size, MASS: tl.constexpr, NEAR: tl.constexpr, AT_ONCE: tl.constexpr,
    TRIED: tl.constexpr,
):  # fmt: skip
    """The distance, as `_bits`, of the token with which the likeliest within the limit reach the goal: in number, or in
    mass.

    Nearly always tokens near the likeliest reach it, so that only those are looked at; else all are. Then 4 bits at a
    time: a pass tries 16 distances. Distances are differences of two floats, so they are the same wherever they are
    computed.
    """
    lane, edge = tl.arange(0, TRIED), tl.zeros([1], tl.int32)
    beyond = tl.minimum(limit, _bits(NEAR * heat))
    count, mass = _collect(scores, highest, heat, room, beyond, size, MASS, AT_ONCE)
    if (mass < goal) & (beyond < limit):
        beyond = limit
        count, mass = _collect(scores, highest, heat, room, beyond, size, MASS, AT_ONCE)
    for place in range(0, 8):
        reached = tl.zeros([16, TRIED], tl.float32)
        for start in range(0, count, TRIED):
            distance = tl.load(room + start + lane, mask=start + lane < count, other=float("inf"))
            bits, tried = _bits(distance)[None, :], edge | (tl.arange(0, 16) << (28 - 4 * place))
            counts = (bits < tried[:, None]) & (start + lane < count)[None, :]
            reached += tl.where(counts, _weight(distance, heat)[None, :] if MASS else 1.0, 0.0)
        edge = _with_digit(edge, place, reached, goal)
    return tl.minimum(beyond, tl.max(edge, 0))


@triton.jit  # type: ignore[untyped-decorator]
def _mass(scores, highest, heat, limit, size, AT_ONCE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Σ weights of the tokens within the limit."""
    mass = tl.zeros([AT_ONCE], tl.float32)
    for start in range(0, size, AT_ONCE):
        distance = _distance(scores, start + tl.arange(0, AT_ONCE), size, highest)
        mass += tl.where(_bits(distance) <= limit, _weight(distance, heat), 0.0)
    return tl.sum(mass.to(tl.float64), 0)


@triton.jit  # type: ignore[untyped-decorator]
def _under(  # type: ignore[no-untyped-def]
    logits, top, row, heats, top_ks, top_ps, min_ps, greedy, weights, total, size, NEAR: tl.constexpr,
    AT_ONCE: tl.constexpr, TRIED: tl.constexpr,
):  # fmt: skip
    pair, lane = tl.program_id(0).to(tl.int64), tl.arange(0, AT_ONCE)
    source, target = tl.load(row + pair), weights + pair * size
    scores, highest, heat = logits + source * size, tl.load(top + source), tl.load(heats + pair)
    k, p, min_p = tl.load(top_ks + pair), tl.load(top_ps + pair), tl.load(min_ps + pair)
    alone = tl.load(greedy + pair) != 0
    # The k likeliest tokens, then of those the likeliest with the mass p.
    limit = k * 0 + 0x7FFFFFFF
    if k > 0:
        limit = _edge(
            scores, highest, heat, target, k.to(tl.float64), limit, size, False, NEAR, AT_ONCE, TRIED
        )
    if p < 1.0:
        goal = _mass(scores, highest, heat, limit, size, AT_ONCE) * p
        limit = _edge(scores, highest, heat, target, goal, limit, size, True, NEAR, AT_ONCE, TRIED)
    first = tl.zeros([AT_ONCE], tl.int32)
    if alone:
        first += size
        for start in range(0, size, AT_ONCE):
            distance = _distance(scores, start + lane, size, highest)
            first = tl.minimum(first, tl.where(distance == 0.0, start + lane, size))
    chosen = tl.min(first, 0)
    mass = tl.zeros([AT_ONCE], tl.float32)
    tl.debug_barrier()  # what is in the row has been read
    for start in range(0, size, AT_ONCE):
        distance = _distance(scores, start + lane, size, highest)
        weight = _weight(distance, heat)
        weight = tl.where((weight >= min_p) & (_bits(distance) <= limit), weight, 0.0)
        weight = tl.where(alone, tl.where(start + lane == chosen, 1.0, 0.0), weight)
        tl.store(target + start + lane, weight, mask=start + lane < size)
        mass += weight
    tl.store(total + pair, tl.sum(mass.to(tl.float64), 0))


def under(logits: Tensor, top: Tensor, row: Tensor, columns: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Weights (N, V) of row[i] under the i-th base, and their sums, (N,) float64. logits: (R, V), top: (R, 1) float32.

    columns: of `Bases`, (N,) each: temperature, then top_k, top_p and min_p; greedy leaves the first of the likeliest.
    """
    pairs, size = len(row), logits.shape[1]
    weights = torch.empty(pairs, size, device=logits.device)
    total = weights.new_empty(pairs, dtype=torch.float64)
    if pairs:
        given = [columns[name].float() for name in ("temperature", "top_p", "min_p")]
        _under[(pairs,)](
            logits.contiguous(), top, row, given[0], columns["top_k"].int(), given[1], given[2],
            columns["greedy"].int(), weights, total, size, NEAR=NEAR, AT_ONCE=SOME,
            TRIED=TRIED, num_warps=16,
        )  # fmt: skip
    return weights, total
