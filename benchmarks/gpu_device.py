"""What the benchmark of a GPU runs on, and how much of it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks.workload import fixed_grid
from random_routing.settings import Settings, load_settings

TASK = "textgen"
LARGE = 120 * 2**30  # bytes of a GPU that holds twice as much


def one_text_a_prompt() -> Settings:
    """Those of `params.yaml` with the grid of the benchmarks."""
    settings = fixed_grid(load_settings())
    return replace(settings, tasks={TASK: replace(settings.tasks[TASK], samples=1)})


@dataclass(frozen=True)
class Sizes:
    """What is run. loop, search: batches and tokens with which the loop's best batch is found; examples: of ours, for
    each dtype, in 80 GB of memory; batch: rows of a call; rows: of a bare step; checked: batches whose bytes are
    compared, on `few` examples; large: hidden size and layers of the model with random weights."""

    loop: tuple[int, ...]
    search: int
    examples: dict[str, int]
    batch: int
    rows: tuple[int, ...]
    few: int
    checked: tuple[int, ...]
    large: tuple[int, int]
    large_loop: tuple[int, ...]
    large_batch: int


SIZES = {
    "cuda": Sizes((8_192, 16_384, 32_768), 4, {"bfloat16": 256, "float32": 64}, 32_768, (32, 512, 2_048, 8_192),
                  7, (2_048, 300, 32), (4_096, 32), (256, 1_024), 1_024),
    "cpu": Sizes((4, 8), 2, {"float32": 1}, 32, (2, 32), 1, (32, 8, 3), (64, 2), (4,), 32),
}  # fmt: skip


@dataclass
class Device:
    name: str

    @property
    def sizes(self) -> Sizes:
        return SIZES[self.name]

    def examples(self, dtype: str) -> int:
        """As many as the memory holds, up to twice those of `Sizes`."""
        large = self.name == "cuda" and torch.cuda.mem_get_info()[1] > LARGE
        return self.sizes.examples[dtype] * (2 if large else 1)

    @property
    def dtypes(self) -> tuple[str, ...]:
        return tuple(self.sizes.examples)

    def wait(self) -> None:
        if self.name == "cuda":
            torch.cuda.synchronize()

    def empty(self) -> None:
        gc.collect()
        if self.name == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak_gib(self) -> float:
        return torch.cuda.max_memory_allocated() / 2**30 if self.name == "cuda" else 0.0

    def milliseconds(self, call: Callable[[], Any], repeats: int = 10) -> float:
        """The median of `repeats`, after one more."""
        times = []
        for _ in range(repeats + 1):
            self.wait()
            began = time.perf_counter()
            call()
            self.wait()
            times.append(time.perf_counter() - began)
        return sorted(times[1:])[repeats // 2] * 1e3
