"""Matrix products and activations whose rows do not depend on the rows beside them.

torch's default fp32 `linear` (MKL) rounds a row differently with the batch size and the row's place;
oneDNN's gives the same bits from 2 rows up. bf16 `linear` is oneDNN's already; small matrices (32 × 32)
take another routine for 2 to 4 rows. So fewer than 8 rows are multiplied beside copies of the first.

Some activations are computed by vectors, and at the end of a thread's share number by number, with other last digits.
Where a share ends depends on the batch, with 3 and more threads in the middle of a row. So they are given numbers that
fill the vectors of all shares.

On a GPU cuBLAS has one order of additions from 17 rows up where it has no workspace to cut sums into parts, and all
calls have 32 rows or more (`random_routing.models.graphs`); torch's own sums over a row have one from 16 rows up.
Shapes of weights that break it are found when a model is loaded (`random_routing.models.tiled_products`).
Attention has kernels of its own (`random_routing.models.tiles`).
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from transformers.models.falcon.modeling_falcon import FalconLinear
from transformers.pytorch_utils import Conv1D

from random_routing.models.fixed_products import dots, sums

# AMX tiles are filled differently for different batches, so bf16 rows would depend on the batch; AVX-512's
# bf16 products do not. Read by oneDNN at its first product.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
# Read when CUDA starts: the smallest workspaces that there are.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":16:8")
os.environ.setdefault("CUBLASLT_WORKSPACE_SIZE", "1")

FEW = 8
PACKED_FOR = 128  # rows; the layout is good for other numbers too
SHARE = 32_768  # numbers of an elementwise operation that torch leaves to one thread (its grain size)
VECTORS = 32  # numbers that its loops take at once, two vectors of AVX-512
plain_linear, plain_matmul = functional.linear, torch.matmul


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


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a·b, in a fixed order of additions where it is a product of attention: (B, H, M, K) and (B, H or 1, K, N)."""
    if a.dtype != torch.float32 or a.dim() != 4 or b.dim() != 4:
        return plain_matmul(a, b)
    both = torch.broadcast_shapes(a.shape[:2], b.shape[:2])
    a, b = a.expand(*both, -1, -1), b.expand(*both, -1, -1)
    return dots(a, b.transpose(2, 3)) if b.stride(2) == 1 else sums(a, b)


def whole_vectors(activation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """activation(x, …), elementwise, without a number that a thread computes by itself at the end of its share."""

    def filled(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        numbers, x = x.numel(), x.contiguous()
        room = _filled(numbers)
        if room == numbers:
            return activation(x, *args, **kwargs)
        flat = x.new_zeros(room)
        flat[:numbers] = x.view(-1)
        return activation(flat, *args, **kwargs)[:numbers].view(x.shape)

    return filled


def _filled(numbers: int) -> int:
    """The least size, not below `numbers`, whose shares are whole vectors.

    torch gives equal shares to as many threads as there are, but no more than one for each `SHARE` numbers.
    """
    room = numbers
    while True:
        shares = max(1, min(torch.get_num_threads(), -(-room // SHARE)))
        if room % (shares * VECTORS) == 0:
            return room
        room += -room % (shares * VECTORS)


class _Redirected(TorchFunctionMode):
    """Sends what a row's neighbours could change to what they cannot."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return REDIRECTED.get(func, func)(*args, **(kwargs or {}))


ACTIVATIONS = (
    functional.silu, functional.gelu, functional.softplus, functional.mish, functional.elu, functional.sigmoid,
    functional.logsigmoid, torch.sigmoid, Tensor.sigmoid,
)  # fmt: skip
REDIRECTED: dict[Any, Any] = {
    plain_linear: linear,
    torch.matmul: matmul,
    Tensor.matmul: matmul,
    Tensor.__matmul__: matmul,
    **{activation: whole_vectors(activation) for activation in ACTIVATIONS},
}


def make_invariant(model: nn.Module) -> None:
    """Replace every product with weights in place; nothing changes where oneDNN is missing or not used, as on a GPU.

    Activations, bare parameters that mixtures of experts multiply by `functional.linear`, and products of attention in
    models that keep the library's own are redirected while a call runs.
    """
    parameter = next(model.parameters())
    if parameter.device.type == "cuda":
        # Triton is there where a GPU is
        from random_routing.models.fused import fuse
        from random_routing.models.tiled_products import tile_where_needed

        fix_products()
        tile_where_needed(model)
        fuse(model)
    if parameter.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear) and type(child) in (nn.Linear, FalconLinear):
                setattr(module, name, InvariantLinear(child.weight, child.bias))
            elif type(child) is Conv1D:  # GPT-2's: the weight is stored as (in, out)
                setattr(module, name, InvariantLinear(child.weight.T, child.bias))
    _redirect(model)
    if model.config.is_encoder_decoder:  # type: ignore[union-attr]  # whose encoder is called by itself
        _redirect(model.get_encoder())  # type: ignore[operator]


def fix_products() -> None:
    """One library for all products on a GPU, and no sums in less than fp32."""
    torch.backends.cuda.preferred_blas_library("cublaslt")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False


def _redirect(module: nn.Module) -> None:
    """Without a cycle of references, in which a model that nobody needs would stay in memory."""
    forward, owner = type(module).forward, weakref.ref(module)

    @wraps(forward)  # callers look at the names of its arguments
    def redirected(*args: Any, **kwargs: Any) -> Any:
        with _Redirected():
            return forward(owner(), *args, **kwargs)

    module.forward = redirected
