"""fp32 matrix products whose rows do not depend on the rows beside them.

torch's default fp32 `linear` (MKL) rounds a row differently with the batch size and the row's place;
oneDNN's gives the same bits from 2 rows up. bf16 `linear` is oneDNN's already.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class OneDnnLinear(nn.Module):
    """`nn.Linear` by oneDNN, on the same parameters."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, self.in_features)
        y = torch.ops.mkldnn._linear_pointwise(flat, self.weight, self.bias, "none", [], "")
        return y.view(*x.shape[:-1], self.out_features)


def make_invariant(model: nn.Module) -> None:
    """Replace every fp32 `nn.Linear` of `model` in place; nothing changes where oneDNN is missing."""
    if not torch.backends.mkldnn.is_available():
        return
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and child.weight.dtype == torch.float32:
                setattr(module, name, OneDnnLinear(child))
