"""Matrix products whose rows do not depend on the rows beside them.

torch's default fp32 `linear` (MKL) rounds a row differently with the batch size and the row's place;
oneDNN's gives the same bits from 2 rows up. bf16 `linear` is oneDNN's already; small matrices (32 × 32)
take another routine for 2 to 4 rows. So fewer than 8 rows are multiplied beside copies of the first.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from transformers.models.falcon.modeling_falcon import FalconLinear
from transformers.pytorch_utils import Conv1D

# AMX tiles are filled differently for different batches, so bf16 rows would depend on the batch; AVX-512's
# bf16 products do not. Read by oneDNN at its first product.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")

FEW = 8
PACKED_FOR = 128  # rows; the layout is good for other numbers too
plain_linear = functional.linear


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x·weightᵀ + bias: (…, out) from x (…, in), weight (out, in), bias (out,)."""
    flat = x.reshape(-1, x.shape[-1])
    rows = flat.shape[0]
    if 0 < rows < FEW:
        flat = torch.cat([flat, flat[:1].expand(FEW - rows, -1)])
    if rows and (flat.dtype == torch.float32 or weight.is_mkldnn):
        y = torch.ops.mkldnn._linear_pointwise(flat, weight, bias, "none", [], "")
    else:
        y = plain_linear(flat, weight, bias)
    return y[:rows].view(*x.shape[:-1], weight.shape[0])


class InvariantLinear(nn.Module):
    """`nn.Linear` by `linear`, its weights laid out once as oneDNN wants them.

    oneDNN lays plain weights out anew in every call, which for a few rows costs as much as the product
    (Gemma 3's output layer: 82 against 169 GFLOP/s at 128 rows). The bits are the same.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.bias = bias
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), PACKED_FOR)
        self.out_features, self.in_features = weight.shape

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class _Products(TorchFunctionMode):
    """Sends every `functional.linear` to `linear`."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return (linear if func is plain_linear else func)(*args, **(kwargs or {}))


def make_invariant(model: nn.Module) -> None:
    """Replace every product with weights in place; nothing changes where oneDNN is missing or not used.

    Experts and routers of mixture-of-experts models multiply bare parameters by `functional.linear`:
    for those models (a parameter with three axes) each call runs under a mode that redirects it.
    """
    parameter = next(model.parameters())
    if parameter.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear) and type(child) in (nn.Linear, FalconLinear):
                setattr(module, name, InvariantLinear(child.weight, child.bias))
            elif type(child) is Conv1D:  # GPT-2's: the weight is stored as (in, out)
                setattr(module, name, InvariantLinear(child.weight.T, child.bias))
    if any(p.dim() == 3 for p in model.parameters()):
        forward = model.forward

        def redirected(*args: Any, **kwargs: Any) -> Any:
            with _Products():
                return forward(*args, **kwargs)

        model.forward = redirected  # type: ignore[method-assign]
