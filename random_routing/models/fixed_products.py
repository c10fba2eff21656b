"""Batched fp32 matrix products whose every sum is added up in one order, fixed by its length alone.

torch's fp32 batched product is MKL's, whose order may follow alignment, thread count and batch; attention needs
it once per row and head. Here each number of a result is one loop of a compiled function, so that neither the
rows beside it nor the machine's load can change its rounding. A decode step reads the cache once, as fast as
memory allows; only a prefill is slower than MKL's (3 to 4 times).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from random_routing.compiled import compiled, share_out

TILE = 4  # rows of one side that share a read of the other
INLINE = 100_000  # multiplications that are not worth waking a thread for


# contract: multiply and add in one rounding; reassoc: the lanes of a vector side by side. Both are settled when
# the loop is compiled. Never nnan or ninf: masks are infinite.
@compiled("contract", "reassoc")
def _dots(first, last, a, a_strides, b, b_strides, out, heads, rows, columns, size):  # type: ignore[no-untyped-def]
    """out[n, i, j] = Σ_d a[n, i, d]·b[n, j, d] for n = (batch, head) in [first, last)."""
    for n in range(first, last):
        x = (n // heads) * a_strides[0] + (n % heads) * a_strides[1]
        y = (n // heads) * b_strides[0] + (n % heads) * b_strides[1]
        for i in range(0, rows, TILE):
            # Past the end the tile's rows are the last one again, so that all rows run through the same loop.
            i1, i2, i3 = min(i + 1, rows - 1), min(i + 2, rows - 1), min(i + 3, rows - 1)
            a0 = a[x + i * a_strides[2] : x + i * a_strides[2] + size]
            a1 = a[x + i1 * a_strides[2] : x + i1 * a_strides[2] + size]
            a2 = a[x + i2 * a_strides[2] : x + i2 * a_strides[2] + size]
            a3 = a[x + i3 * a_strides[2] : x + i3 * a_strides[2] + size]
            for j in range(columns):
                b0 = b[y + j * b_strides[2] : y + j * b_strides[2] + size]
                s0 = s1 = s2 = s3 = np.float32(0)
                for d in range(size):
                    s0 += a0[d] * b0[d]
                    s1 += a1[d] * b0[d]
                    s2 += a2[d] * b0[d]
                    s3 += a3[d] * b0[d]
                place = n * rows * columns + j
                out[place + i3 * columns] = s3
                out[place + i2 * columns] = s2
                out[place + i1 * columns] = s1
                out[place + i * columns] = s0


@compiled("contract")
def _sums(first, last, w, w_strides, v, v_strides, out, heads, rows, columns, size):  # type: ignore[no-untyped-def]
    """out[n, i, d] = Σ_j w[n, i, j]·v[n, j, d], j in ascending order, for n = (batch, head) in [first, last)."""
    for n in range(first, last):
        x = (n // heads) * w_strides[0] + (n % heads) * w_strides[1]
        y = (n // heads) * v_strides[0] + (n % heads) * v_strides[1]
        out[n * rows * size : (n + 1) * rows * size] = np.float32(0)
        whole = columns - columns % TILE
        for j in range(0, whole, TILE):
            start, step = y + j * v_strides[2], v_strides[2]
            v0 = v[start : start + size]
            v1 = v[start + step : start + step + size]
            v2 = v[start + 2 * step : start + 2 * step + size]
            v3 = v[start + 3 * step : start + 3 * step + size]
            for i in range(rows):
                total = out[(n * rows + i) * size : (n * rows + i + 1) * size]
                at = x + i * w_strides[2] + j
                w0, w1, w2, w3 = w[at], w[at + 1], w[at + 2], w[at + 3]
                for d in range(size):
                    total[d] = (((total[d] + w0 * v0[d]) + w1 * v1[d]) + w2 * v2[d]) + w3 * v3[d]
        for j in range(whole, columns):
            v0 = v[y + j * v_strides[2] : y + j * v_strides[2] + size]
            for i in range(rows):
                total = out[(n * rows + i) * size : (n * rows + i + 1) * size]
                w0 = w[x + i * w_strides[2] + j]
                for d in range(size):
                    total[d] += w0 * v0[d]


def dots(a: Tensor, b: Tensor) -> Tensor:
    """a·bᵀ: (B, K, M, D) and (B, K, N, D) → (B, K, M, N)."""
    return _product(_dots, a, b, b.shape[2], a.shape[3], b.shape[2])


def sums(w: Tensor, v: Tensor) -> Tensor:
    """w·v: (B, K, M, N) and (B, K, N, D) → (B, K, M, D)."""
    return _product(_sums, w, v, w.shape[3], v.shape[3], v.shape[3])


def _product(kernel: Any, a: Tensor, b: Tensor, columns: int, size: int, width: int) -> Tensor:
    a, b = (x if x.stride(3) == 1 else x.contiguous() for x in (a, b))
    batch, heads, rows = a.shape[:3]
    out = torch.empty(batch, heads, rows, width)
    if not out.numel():
        return out
    strides = np.array(a.stride()), np.array(b.stride())
    arrays = (_flat(a), strides[0], _flat(b), strides[1], _flat(out), heads, rows, columns, size)
    work = batch * heads * rows * columns * size
    share_out(kernel, batch * heads, work > INLINE, *arrays)
    return out


def _flat(x: Tensor) -> np.ndarray:
    """The memory that a tensor lies in, from its first number to its last."""
    length = 1 + sum((n - 1) * stride for n, stride in zip(x.shape, x.stride(), strict=True))
    return x.as_strided((length,), (1,)).numpy()
