"""Products with weights on a GPU, in tiles of one size, for the shapes in which cuBLAS counts the rows.

cuBLAS picks a routine by the shape of a product, the number of its rows among it; for most weights all that it picks
add up in one order, for some (an odd number of outputs, a few hundred numbers) they do not. Each shape is tried when
a model is loaded. Imported only where there is a GPU: Triton comes with torch's CUDA builds.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from random_routing.models.graphs import COARSE, FEWEST

ROWS, OUTPUTS, INPUTS = 32, 64, 32  # of a tile
MOST_ROWS, MOST_NUMBERS = 32_768, 2**28  # of what is tried


@triton.jit  # type: ignore[untyped-decorator]
def _multiply(  # type: ignore[no-untyped-def]
    x, weight, bias, out, rows, inputs, outputs,
    BIASED: tl.constexpr, ROWS: tl.constexpr, OUTPUTS: tl.constexpr, INPUTS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1).to(tl.int64) * OUTPUTS + tl.arange(0, OUTPUTS)
    total = tl.zeros([ROWS, OUTPUTS], tl.float32)
    for start in range(0, inputs, INPUTS):
        k = start + tl.arange(0, INPUTS)
        there = k < inputs
        states = tl.load(
            x + row[:, None] * inputs + k[None, :], mask=(row < rows)[:, None] & there[None, :], other=0.0
        )
        part = tl.load(
            weight + column[:, None] * inputs + k[None, :],
            mask=(column < outputs)[:, None] & there[None, :],
            other=0.0,
        )
        total += tl.dot(states, tl.trans(part), input_precision="ieee")
    if BIASED:
        total += tl.load(bias + column, mask=column < outputs, other=0.0).to(tl.float32)[None, :]
    tl.store(
        out + row[:, None] * outputs + column[None, :],
        total.to(out.dtype.element_ty),
        mask=(row < rows)[:, None] & (column < outputs)[None, :],
    )


class TiledLinear(nn.Module):
    """x·weightᵀ + bias with sums in fp32, tile after tile: (…, out) from (…, in); weight (out, in), bias (out,)."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
        self.bias = bias
        self.out_features, self.in_features = weight.shape

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, self.in_features).contiguous()
        out = flat.new_empty(len(flat), self.out_features)
        grid = (triton.cdiv(len(flat), ROWS), triton.cdiv(self.out_features, OUTPUTS))
        _multiply[grid](
            flat, self.weight, flat if self.bias is None else self.bias, out, *flat.shape, self.out_features,
            BIASED=self.bias is not None, ROWS=ROWS, OUTPUTS=OUTPUTS, INPUTS=INPUTS,
        )  # fmt: skip
        return out.view(*x.shape[:-1], self.out_features)


@torch.inference_mode()
def tile_where_needed(network: nn.Module) -> None:
    """Replace the products of those shapes in place."""
    tried: dict[object, bool] = {}
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) not in (nn.Linear, Conv1D):
                continue
            weight: Tensor = child.weight.T if isinstance(child, Conv1D) else child.weight  # type: ignore[assignment]
            shape = (type(child), weight.shape, weight.dtype, child.bias is None)
            if shape not in tried:
                tried[shape] = counts_rows(child, weight)
            if tried[shape]:
                setattr(module, name, TiledLinear(weight, child.bias))  # type: ignore[arg-type]


def counts_rows(product: nn.Module, weight: Tensor) -> bool:
    """Whether a row's product has other bits beside other numbers of rows, as calls have (`graphs.width_of`)."""
    outputs, inputs = weight.shape
    most = max(2 * FEWEST, min(MOST_ROWS, MOST_NUMBERS // outputs) // FEWEST * FEWEST)
    noise = torch.Generator(weight.device).manual_seed(0)
    x = torch.randn(most, inputs, device=weight.device, dtype=weight.dtype, generator=noise)
    alone = torch.cat([product(rows) for rows in x.split(FEWEST)])
    few = {FEWEST << i for i in range(6)}
    widths = [rows for rows in sorted(few | set(range(COARSE, most + 1, COARSE))) if rows <= most]
    return any(not torch.equal(product(x[:rows]), alone[:rows]) for rows in widths)
