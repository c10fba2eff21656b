"""Model calls captured as CUDA graphs: a step of a small model is a thousand launches that cost more than its work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

FEWEST = 32  # rows of a call on a GPU: cuBLAS adds up fp32 products of 16 rows and fewer in another order
COARSE = 1_024  # above, numbers of rows are multiples of it


def width_of(rows: int) -> int:
    """The rows of the call that `rows` are part of: a power of two, or a multiple of `COARSE`."""
    if rows > COARSE:
        return -(-rows // COARSE) * COARSE
    return max(FEWEST, 1 << (rows - 1).bit_length())


@dataclass
class Captured:
    """What a graph reads, and what it writes."""

    graph: torch.cuda.CUDAGraph
    inputs: dict[str, Tensor]
    output: Tensor


class Graphs:
    """Calls of functions of tensors, each kind and number of rows captured once.

    Those of a kind share their memory, so a result is to be used before the next call of its kind. Other kinds have
    memory of their own: random paths are run while the logits of the model's own path are still needed.
    """

    def __init__(self) -> None:
        self.captured: dict[Any, Captured] = {}
        self.pools: dict[Any, Any] = {}  # of each kind

    def __call__(
        self,
        function: Callable[..., Tensor],
        inputs: dict[str, Tensor | int],
        width: int,
        capture: bool,
        kind: object = None,
    ) -> Tensor:
        """function(**inputs) with `width` rows: tensors (B, …) are filled up with rows that mean nothing, integers
        become tensors. The result is overwritten by the next call of the kind.

        capture: as a graph, where there is a GPU; kind: all that the function depends on beside the inputs' shapes.
        """
        device = next(x.device for x in inputs.values() if isinstance(x, Tensor))
        if not capture or device.type != "cuda":
            return function(**_filled_up(inputs, width, device))
        shapes = tuple((name, x.shape[1:]) for name, x in inputs.items() if isinstance(x, Tensor))
        key = (kind, width, shapes)
        if key not in self.captured:
            self.captured[key] = self._capture(function, _filled_up(inputs, width, device), kind)
        captured = self.captured[key]
        for name, given in inputs.items():
            if isinstance(given, Tensor):
                captured.inputs[name][: len(given)].copy_(given)
            else:
                captured.inputs[name].fill_(given)
        captured.graph.replay()
        return captured.output

    def _capture(
        self, function: Callable[..., Tensor], inputs: dict[str, Tensor], kind: object
    ) -> Captured:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            function(**inputs)  # what is set up at the first call must not be captured
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pools.get(kind)):
            output = function(**inputs)
        self.pools.setdefault(kind, graph.pool())
        return Captured(graph, inputs, output)


def _filled_up(inputs: dict[str, Tensor | int], width: int, device: torch.device) -> dict[str, Tensor]:
    filled = {}
    for name, given in inputs.items():
        if isinstance(given, Tensor):
            filled[name] = given.new_zeros(width, *given.shape[1:])
            filled[name][: len(given)] = given
        else:
            filled[name] = torch.full((), given, dtype=torch.long, device=device)
    return filled
