"""What decides the last digits of a model's numbers beside its weights: a part of every content key.

So an upgrade, or another class of processor, never mixes its texts with those that are there.
"""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version
from typing import Any

import torch

from random_routing.errors import PipelineError

# A new version of these may round or cut texts in another way.
LIBRARIES = ("numba", "tokenizers", "torch", "transformers")


# Versions of our own code: raise one when a change alters a model's numbers or tokens there.
VERSIONS = {
    ("float32", "cpu"): 2, ("bfloat16", "cpu"): 3, ("float32", "cuda"): 3, ("bfloat16", "cuda"): 3
}  # fmt: skip


@cache
def numerics(device: str) -> dict[str, str]:
    """Library → version, and `processor`: the class of instruction sets, or the GPU's name."""
    return {**{name: version(name) for name in LIBRARIES}, "processor": _processor(device)}


def arithmetic(dtype: str, device: str) -> dict[str, Any]:
    """What a model's numbers depend on beside its files, as it stands in content keys."""
    version = VERSIONS.get((dtype, device), 0)  # 0: a plan that is only counted, before a device is chosen
    return {"dtype": dtype, "device": device, "numerics": numerics(device), "version": version}


def _processor(device: str) -> str:
    if device == "cuda":
        # Without one no model is loaded; that is said where it is tried.
        return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    # What torch's own loops use; oneDNN and compiled loops go by the same flags, and both can be lowered by hand.
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def check_numerics(wanted: dict[str, str], device: str) -> None:
    """On a worker: raises `PipelineError` where its texts would not be those of the machine that asks for them."""
    used = numerics(device)
    other = [
        f"{name} {used[name]} in place of {value}" for name, value in wanted.items() if used[name] != value
    ]
    if other:
        raise PipelineError(
            f"worker {platform.node()}: {', '.join(other)}; its texts would have other last digits; "
            "all machines of a run must be of one kind"
        )
