"""Loops compiled by numba, their work shared out among threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numba
import torch


def compiled(*freedoms: str) -> Callable[[Callable[..., None]], Any]:
    """numba's, without the global interpreter lock. freedoms: of LLVM's fast-math flags; without any, every
    operation is IEEE 754's, in the order in which it is written.

    Compiled code is kept on disk where there is a place for it.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": set(freedoms), "error_model": "numpy"}

    def decorated(function: Callable[..., None]) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # neither the checkout nor the home folder can be written
            return numba.njit(**options)(function)

    return decorated


def share_out(kernel: Any, count: int, worthwhile: bool, *given: Any) -> None:
    """Run kernel(first, last, *given) for near-equal shares of [0, count), one a thread.

    worthwhile: whether there is enough to do for other threads to be woken.
    """
    threads = max(1, min(torch.get_num_threads(), count)) if worthwhile else 1
    edges = [count * i // threads for i in range(threads + 1)]
    first, *others = [(*share, *given) for share in pairwise(edges)]
    waiting = [_pool().submit(kernel, *share) for share in others]
    kernel(*first)
    for share in waiting:
        share.result()


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads that sleep while torch's own are at work."""
    return ThreadPoolExecutor(max_workers=torch.get_num_threads(), thread_name_prefix="compiled")
