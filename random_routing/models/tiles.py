"""Attention on a GPU whose rows do not depend on the rows beside them.

cuBLAS adds up batched fp32 products in another order from 48 rows on. Here each row is a program of its own, or one for
each key/value head, that goes over the keys in tiles of one size, with sums in fp32 and a running softmax (Milakov &
Gimelshein 2018; Dao et al. 2022), so that nothing but the row's own keys enters. A step has few queries a head: several
heads fill a tile together, and a query's weight for the keys of another head is zero. Keys are read where they lie
(`Pages`): rows that share a past read it from one place. Imported only where there is a GPU: Triton comes with torch's
CUDA builds.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from random_routing.models.shared import Pages

QUERIES = 64  # of a tile, at most
LEAST = 16  # rows and columns of a product
FEW = 8  # queries of a key/value head that fp32 multiplies one by one: a step's are too few for a product
# Keys of a tile, warps of a program, and loops that are read ahead: the fastest of those tried, on an H100 with heads
# of 64 numbers; for heads together on an H200 with those of an 8B Llama (2.6 times as fast as one by one).
HALF, HALF_TOGETHER, SINGLE, SINGLE_FEW = (64, 2, 3), (64, 2, 2), (32, 4, 3), (8, 1, 3)
RUN_DEPENDENT = ["table_row", "mask_row", "mask_at", "bias_head", "bias_at", "keys", "length"]


@triton.jit(do_not_specialize=RUN_DEPENDENT)  # type: ignore[untyped-decorator]
def _attend(  # type: ignore[no-untyped-def]
    q, k, v, table, end, mask, bias, out,
    q_row, q_head, q_at, k_slot, k_head, k_at, v_slot, v_head, v_at, table_row, table_at,
    mask_row, mask_at, bias_head, bias_at, out_row, out_at, out_head,
    keys, length, scaling, softcap,
    HEADS: tl.constexpr, GROUPS: tl.constexpr, SIZE: tl.constexpr, WIDE: tl.constexpr, VALUES: tl.constexpr,
    VALUES_WIDE: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
    PRODUCT: tl.constexpr, PAGED: tl.constexpr, MASKED: tl.constexpr, BIASED: tl.constexpr, CAPPED: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * HEADS  # key/value heads of this program
    place = tl.program_id(2) * M + tl.arange(0, M)  # of a query: HEADS × GROUPS heads × length
    asked = place < HEADS * GROUPS * length
    head = first * GROUPS + place // length
    own = place // (GROUPS * length)  # the key/value head that a query looks at, from the first
    at = place % length
    # A column of a tile is a key of one of the heads.
    number = tl.arange(0, N) // HEADS
    other = tl.arange(0, N) % HEADS
    d = tl.arange(0, WIDE)
    e = tl.arange(0, VALUES_WIDE)
    query = tl.load(
        q + row * q_row + head[:, None] * q_head + at[:, None] * q_at + d[None, :],
        mask=asked[:, None] & (d < SIZE)[None, :],
        other=0.0,
    )
    top = tl.full(
        [M], -1e38, tl.float32
    )  # above the least of a mask, so that what is hidden weighs nothing
    total = tl.zeros([M], tl.float32)
    made = tl.zeros([M, VALUES_WIDE], tl.float32)
    if PAGED:
        keys = tl.load(end)
    for start in range(0, keys, N // HEADS):
        j = start + number
        there = (j < keys) & (number < N // HEADS)
        if PAGED:
            slot = tl.load(table + row * table_row + j * table_at, mask=there, other=0).to(tl.int64)
        else:
            slot = row + tl.zeros([N], tl.int64)
        key = tl.load(
            k + (slot * k_slot + (first + other) * k_head + j * k_at)[:, None] + d[None, :],
            mask=there[:, None] & (d < SIZE)[None, :],
            other=0.0,
        )
        value = tl.load(
            v + (slot * v_slot + (first + other) * v_head + j * v_at)[:, None] + e[None, :],
            mask=there[:, None] & (e < VALUES)[None, :],
            other=0.0,
        )
        if PRODUCT:
            scores = tl.dot(query, tl.trans(key), input_precision="ieee")  # (M, N)
        else:
            scores = tl.sum(query[:, None, :].to(tl.float32) * key[None, :, :].to(tl.float32), 2)
        scores *= scaling
        if CAPPED:
            scores = softcap - 2.0 * softcap / (tl.exp(2.0 * scores / softcap) + 1.0)  # softcap · tanh
        if BIASED:
            scores += tl.load(
                bias + head[:, None] * bias_head + at[:, None] * bias_at + j[None, :],
                mask=asked[:, None] & there[None, :],
                other=0.0,
            ).to(tl.float32)
        seen = there[None, :] & (own[:, None] == other[None, :])
        if MASKED:
            seen = seen & (
                tl.load(
                    mask + row * mask_row + at[:, None] * mask_at + j[None, :],
                    mask=asked[:, None] & seen,
                    other=0,
                )
                != 0
            )
        scores = tl.where(seen, scores, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, 1))
        weights = tl.exp(scores - higher[:, None])
        fade = tl.exp(top - higher)
        total = total * fade + tl.sum(weights, 1)
        if PRODUCT:
            made = made * fade[:, None] + tl.dot(weights.to(value.dtype), value, input_precision="ieee")
        else:
            made = made * fade[:, None] + tl.sum(weights[:, :, None] * value[None, :, :].to(tl.float32), 1)
        top = higher
    made = made / tl.where(total > 0.0, total, 1.0)[:, None]  # a query that sees nothing gets zeros
    tl.store(
        out + row * out_row + at[:, None] * out_at + head[:, None] * out_head + e[None, :],
        made.to(out.dtype.element_ty),
        mask=asked[:, None] & (e < VALUES)[None, :],
    )


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float,
    softcap: float | None = None,
    bias: Tensor | None = None,
    pages: Pages | None = None,
) -> Tensor:
    """softmax(scaling·q·kᵀ + bias + mask)·v: (B, T, H, D) from query (B, H, T, D).

    key, value: (B or slots, K, S, D), of each row or, with `pages`, of all slots; mask: (B, 1, T, S) bool, seen; bias:
    (1, H, T, S) is added; softcap: scores become softcap·tanh(scores/softcap) first.
    """
    rows, heads, length, size = query.shape
    groups, values = heads // key.shape[1], value.shape[3]
    query, key, value = (_in_rows(x) for x in (query, key, value))
    product = query.dtype != torch.float32 or groups * length > FEW
    together = _heads_together(key.shape[1], groups * length) if product else 1
    tile = min(QUERIES, triton.next_power_of_2(together * groups * length))
    half = HALF if together == 1 else HALF_TOGETHER
    keys, warps, stages = half if query.dtype != torch.float32 else SINGLE if product else SINGLE_FEW
    if product:
        tile = max(LEAST, tile)
    warps = max(warps, tile // LEAST, _wide(size) // 64)
    out = query.new_empty(rows, length, heads, values)
    none = query  # never read
    table, end = (pages.table, pages.end) if pages else (none, none)
    mask = None if mask is None else _in_rows(mask).view(torch.uint8).expand(rows, 1, length, mask.shape[3])
    bias = None if bias is None else _in_rows(bias).expand(1, heads, length, bias.shape[3])
    grid = (rows, key.shape[1] // together, triton.cdiv(together * groups * length, tile))
    given: dict[str, Any] = dict(
        HEADS=together, GROUPS=groups, SIZE=size, WIDE=_wide(size), VALUES=values, VALUES_WIDE=_wide(values), M=tile,
        N=keys, PRODUCT=product, num_warps=warps, num_stages=stages,
        PAGED=pages is not None, MASKED=mask is not None, BIASED=bias is not None, CAPPED=softcap is not None,
    )  # fmt: skip
    _attend[grid](
        query, key, value, table, end, none if mask is None else mask, none if bias is None else bias, out,
        *query.stride()[:3], *key.stride()[:3], *value.stride()[:3], *(table.stride()[:2] if pages else (0, 0)),
        *((0, 0) if mask is None else (mask.stride(0), mask.stride(2))),
        *((0, 0) if bias is None else (bias.stride(1), bias.stride(2))),
        *out.stride()[:3], key.shape[2], length, scaling, softcap or 0.0, **given,
    )  # fmt: skip
    return out


@triton.jit  # type: ignore[untyped-decorator]
def _keep(  # type: ignore[no-untyped-def]
    key, value, all_keys, all_values, slots, places, k_row, k_head, k_at, v_row, v_head, v_at,
    all_k_slot, all_k_head, all_k_at, all_v_slot, all_v_head, all_v_at, length,
    HEADS: tl.constexpr, HEADS_WIDE: tl.constexpr, SIZE: tl.constexpr, WIDE: tl.constexpr, VALUES: tl.constexpr,
    VALUES_WIDE: tl.constexpr,
):  # fmt: skip
    row, at = (tl.program_id(0) // length).to(tl.int64), tl.program_id(0) % length
    slot, place = tl.load(slots + row), tl.load(places + at)
    head, d, e = (
        tl.arange(0, HEADS_WIDE)[:, None],
        tl.arange(0, WIDE)[None, :],
        tl.arange(0, VALUES_WIDE)[None, :],
    )
    own = (head < HEADS) & (d < SIZE)
    states = tl.load(key + row * k_row + head * k_head + at * k_at + d, mask=own)
    tl.store(all_keys + slot * all_k_slot + head * all_k_head + place * all_k_at + d, states, mask=own)
    own = (head < HEADS) & (e < VALUES)
    states = tl.load(value + row * v_row + head * v_head + at * v_at + e, mask=own)
    tl.store(all_values + slot * all_v_slot + head * all_v_head + place * all_v_at + e, states, mask=own)


def keep(
    key: Tensor, value: Tensor, all_keys: Tensor, all_values: Tensor, slots: Tensor, places: Tensor
) -> None:
    """Write key and value (B, K, T, D) to positions places (T,) of slots (B,), in both of all (slots, K, S, D)."""
    (rows, heads, length, size), values = key.shape, value.shape[3]
    key, value = _in_rows(key), _in_rows(value)
    _keep[(rows * length,)](
        key, value, all_keys, all_values, slots, places, *key.stride()[:3], *value.stride()[:3],
        *all_keys.stride()[:3], *all_values.stride()[:3], length,
        HEADS=heads, HEADS_WIDE=triton.next_power_of_2(heads), SIZE=size, WIDE=triton.next_power_of_2(size),
        VALUES=values, VALUES_WIDE=triton.next_power_of_2(values),
    )  # fmt: skip


def _heads_together(heads: int, queries: int) -> int:
    """Of the key/value heads, with `queries` each: 4 or 2 that fit into the least tile, else 1."""
    return next((n for n in (4, 2) if heads % n == 0 and n * queries <= LEAST), 1)


def _in_rows(x: Tensor) -> Tensor:
    """The numbers of the last dimension side by side, as the kernel reads them."""
    return x if x.stride(3) == 1 else x.contiguous()


def _wide(size: int) -> int:
    return max(LEAST, triton.next_power_of_2(size))
