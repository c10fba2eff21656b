"""Small steps of a layer in one kernel each on a GPU: launches and passes over memory are what they cost.

Models of the library carry copies of Llama's norm and rotation; those whose source is the same are replaced. A program
works on one row, so the rows beside it change nothing.
"""

from __future__ import annotations

import inspect
import sys
from functools import partial, wraps
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.models.llama import modeling_llama as llama

ROTATE = "apply_rotary_pos_emb"
SILU = (nn.SiLU, type(ACT2FN["silu"]))
NUMBERS = 1_024  # of a program


@triton.jit  # type: ignore[untyped-decorator]
def _rms_norm(x, weight, out, eps, SIZE: tl.constexpr, WIDE: tl.constexpr):  # type: ignore[no-untyped-def]
    row, d = tl.program_id(0).to(tl.int64), tl.arange(0, WIDE)
    there = d < SIZE
    states = tl.load(x + row * SIZE + d, mask=there, other=0.0).to(tl.float32)
    scaled = states * tl.rsqrt(tl.sum(states * states, 0) / SIZE + eps)
    scaled = scaled.to(out.dtype.element_ty).to(tl.float32)
    made = tl.load(weight + d, mask=there, other=0.0).to(tl.float32) * scaled
    tl.store(out + row * SIZE + d, made.to(out.dtype.element_ty), mask=there)


def rms_norm(module: Any, hidden_states: Tensor) -> Tensor:
    """weight·x/√(mean x² + ε) over the last dimension (Zhang & Sennrich 2019)."""
    states = hidden_states.contiguous()
    out, size = torch.empty_like(states), states.shape[-1]
    _rms_norm[(states.numel() // size,)](
        states, module.weight, out, module.variance_epsilon, SIZE=size, WIDE=triton.next_power_of_2(size)
    )
    return out


@triton.jit  # type: ignore[untyped-decorator]
def _rotate(  # type: ignore[no-untyped-def]
    x, cos, sin, out, x_row, x_head, x_at, angle_row, angle_at, out_row, out_head, out_at, length,
    HEADS: tl.constexpr, HEADS_WIDE: tl.constexpr, HALF: tl.constexpr, HALF_WIDE: tl.constexpr,
):  # fmt: skip
    row, at = (tl.program_id(0) // length).to(tl.int64), tl.program_id(0) % length
    head, d = tl.arange(0, HEADS_WIDE)[:, None], tl.arange(0, HALF_WIDE)[None, :]
    there = (head < HEADS) & (d < HALF)
    source = x + row * x_row + head * x_head + at * x_at + d
    first = tl.load(source, mask=there, other=0.0).to(tl.float32)
    second = tl.load(source + HALF, mask=there, other=0.0).to(tl.float32)
    angle = row * angle_row + at * angle_at + d
    cos_1 = tl.load(cos + angle, mask=d < HALF, other=0.0).to(tl.float32)
    cos_2 = tl.load(cos + angle + HALF, mask=d < HALF, other=0.0).to(tl.float32)
    sin_1 = tl.load(sin + angle, mask=d < HALF, other=0.0).to(tl.float32)
    sin_2 = tl.load(sin + angle + HALF, mask=d < HALF, other=0.0).to(tl.float32)
    target = out + row * out_row + head * out_head + at * out_at + d
    tl.store(target, (first * cos_1 - second * sin_1).to(out.dtype.element_ty), mask=there)
    tl.store(target + HALF, (second * cos_2 + first * sin_2).to(out.dtype.element_ty), mask=there)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021): x (B, H, T, D), cos and sin (B or 1, T, D)."""
    rows, heads, length, size = x.shape
    cos, sin = (angle.expand(rows, -1, -1) for angle in (cos, sin))
    out = torch.empty(rows, heads, length, size, dtype=x.dtype, device=x.device)
    _rotate[(rows * length,)](
        x, cos, sin, out, *x.stride()[:3], *cos.stride()[:2], *out.stride()[:3], length,
        HEADS=heads, HEADS_WIDE=triton.next_power_of_2(heads),
        HALF=size // 2, HALF_WIDE=triton.next_power_of_2(size // 2),
    )  # fmt: skip
    return out


@triton.jit  # type: ignore[untyped-decorator]
def _gated(gate, up, out, numbers, AT_ONCE: tl.constexpr):  # type: ignore[no-untyped-def]
    place = tl.program_id(0).to(tl.int64) * AT_ONCE + tl.arange(0, AT_ONCE)
    there = place < numbers
    x = tl.load(gate + place, mask=there, other=0.0).to(tl.float32)
    active = (x / (1.0 + tl.exp(-x))).to(out.dtype.element_ty).to(tl.float32)
    made = active * tl.load(up + place, mask=there, other=0.0).to(tl.float32)
    tl.store(out + place, made.to(out.dtype.element_ty), mask=there)


def gated(module: Any, x: Tensor) -> Tensor:
    """down(SiLU(gate(x)) · up(x)) (Shazeer 2020, "GLU variants improve Transformer")."""
    gate, up = module.gate_proj(x), module.up_proj(x)
    out = torch.empty_like(gate)
    _gated[(triton.cdiv(gate.numel(), NUMBERS),)](gate, up, out, gate.numel(), AT_ONCE=NUMBERS)
    made: Tensor = module.down_proj(out)
    return made


def fuse(network: nn.Module) -> None:
    """Replace what is a copy of Llama's, in place."""
    norm, rotation, product = (
        inspect.getsource(f)
        for f in (llama.LlamaRMSNorm.forward, llama.apply_rotary_pos_emb, llama.LlamaMLP.forward)
    )
    for module in network.modules():
        kind = type(module)
        if isinstance(getattr(module, "act_fn", None), SILU) and inspect.getsource(kind.forward) == product:
            module.forward = partial(gated, module)
        if kind.__name__.endswith("RMSNorm") and inspect.getsource(kind.forward) == norm:
            module.forward = partial(rms_norm, module)
        home = sys.modules[kind.__module__]
        given = vars(home).get(ROTATE)
        if given and not hasattr(given, "__wrapped__") and inspect.getsource(given) == rotation:
            setattr(home, ROTATE, _rotating(given))


def _rotating(given: Any) -> Any:
    @wraps(given)
    def rotated(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not q.is_cuda or args or kwargs or cos.stride() != sin.stride():
            return given(q, k, cos, sin, *args, **kwargs)
        return rotate(q, cos, sin), rotate(k, cos, sin)

    return rotated
