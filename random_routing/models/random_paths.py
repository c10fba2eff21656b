"""Structural routes: δ is the model's own distribution, with its last token run along a random path.

    heads    each self-attention head is kept with probability 1−d, at least one in every layer
    layers   each layer but the first and the last is skipped with probability d
    experts  each routed layer sends the token to uniformly random experts in place of its own choices;
             they get the weights that its own choices would have had

What came before keeps its keys and values from the model's own path; only the last position is run
again. All works through public hooks on Hugging Face modules: no model code is copied or changed.
Nothing is rescaled for what is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from random_routing.errors import PipelineError
from random_routing.models.shape import experts_of, heads_of
from random_routing.settings import Route

LAYERS = ("layers", "h", "block", "blocks")  # what decoders call their list of layers
ATTENTION = ("self_attn", "attn", "attention", "self_attention", "SelfAttention")
PROJECTION = ("o_proj", "c_proj", "out_proj", "dense", "wo", "o")
ROUTER = re.compile(r"Top_?[kK]Router$")


@dataclass(frozen=True)
class Parts:
    """What random paths choose from. Layers without the part have None."""

    layers: tuple[nn.Module, ...]
    projections: tuple[nn.Module | None, ...]  # of the heads' outputs, in each layer
    heads: int
    routers: tuple[nn.Module, ...]
    experts: int

    def width(self, route: Route) -> int:
        """How many uniform numbers a path takes."""
        return {
            "heads": len(self.layers) * self.heads,
            "layers": len(self.layers),
            "experts": len(self.routers) * self.experts,
        }[route.kind]

    def check(self, route: Route) -> None:
        """Raises `PipelineError` that names the class without the part that the route needs."""
        if route.kind == "heads":
            for layer, projection in zip(self.layers, self.projections, strict=True):
                if projection is None:
                    name = type(layer).__name__
                    raise PipelineError(f"{name}: route heads: the projection of its heads is not found")
        if route.kind == "experts" and not self.routers:
            name = type(self.layers[0]).__name__
            raise PipelineError(f"{name}: route experts: its routers are not found")


def check_parts(name: str, route: Route, heads: int, layers: int, experts: int) -> None:
    """Raises `PipelineError` that names the model for a route whose parts it does not have."""
    if route.kind == "experts" and experts < 2:
        raise PipelineError(f"{name}: route experts: a dense model, it has no experts to route to")
    if route.kind == "heads" and heads < 2:
        raise PipelineError(
            f"{name}: route heads: it has {heads or 'no known'} attention head, and one must stay"
        )
    if route.kind == "layers" and layers < 3:
        raise PipelineError(
            f"{name}: route layers: of its {layers} layers the first and the last always stay"
        )


def parts_of(network: nn.Module) -> Parts:
    """Raises `PipelineError` for a model whose layers are not found."""
    config: Any = network.config
    decoder = network.get_decoder()  # type: ignore[operator]
    layers = next((tuple(getattr(decoder, n)) for n in LAYERS if hasattr(decoder, n)), ())
    if not layers:
        raise PipelineError(
            f"{type(network).__name__}: its layers are not found, so it has no structural routes"
        )
    routers = tuple(m for layer in layers for m in layer.modules() if ROUTER.search(type(m).__name__))
    return Parts(
        layers=layers,
        projections=tuple(_projection(layer) for layer in layers),
        heads=heads_of(config),
        routers=routers,
        experts=experts_of(config) if routers else 0,
    )


def _projection(layer: nn.Module) -> nn.Module | None:
    for name, module in layer.named_modules():
        if name.split(".")[-1] in ATTENTION:
            for projection in (getattr(module, n, None) for n in PROJECTION):
                if isinstance(projection, nn.Module):
                    return projection
    return None


def choices(parts: Parts, route: Route, u: Tensor) -> Tensor:
    """Random paths from uniform numbers u (N, width) float64.

    heads: (N, layers, heads) bool, kept; layers: (N, layers) bool, skipped; experts: (N, routers,
    experts) int64, a random order of the experts, of which a router takes as many as it needs.
    """
    if route.kind == "layers":
        skipped = u < route.drop
        skipped[:, [0, -1]] = False
        return skipped
    if route.kind == "experts":
        return u.reshape(len(u), len(parts.routers), parts.experts).argsort(dim=2, stable=True)
    numbers = u.reshape(len(u), len(parts.layers), parts.heads)
    return (numbers >= route.drop) | (numbers == numbers.amax(dim=2, keepdim=True))


@dataclass(frozen=True)
class Path:
    """A random path of each row of a model call. chosen: (B, …) of `choices`."""

    parts: Parts
    route: Route
    chosen: Tensor


@contextmanager
def along(parts: Parts, route: Route, path: Tensor) -> Iterator[None]:
    """Within it, the last position of every row of a model call follows the row's path: `choices`, (B, …).

    Raises `PipelineError` for a model without the parts (`Parts.check`).
    """
    parts.check(route)
    with ExitStack() as stack:
        if route.kind == "heads":
            for number, projection in enumerate(parts.projections):
                assert projection is not None  # checked above
                hook = _keep_heads(path[:, number], parts.heads)
                stack.callback(projection.register_forward_pre_hook(hook).remove)
        elif route.kind == "layers":
            for number, layer in enumerate(
                parts.layers[1:-1], start=1
            ):  # the first and the last always stay
                hook = _skip(path[:, number])
                stack.callback(layer.register_forward_hook(hook, with_kwargs=True).remove)
        else:
            for number, router in enumerate(parts.routers):
                stack.callback(router.register_forward_hook(_send_to(path[:, number])).remove)
        yield


def _keep_heads(kept: Tensor, heads: int) -> Callable[..., Any]:
    def hook(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        states = args[0].clone()  # (B, T, heads · head size)
        last = states[:, -1].unflatten(-1, (heads, -1))
        states[:, -1] = (last * kept.to(states)[:, :, None]).flatten(1)
        return (states, *args[1:])

    return hook


def _skip(skipped: Tensor) -> Callable[..., Any]:
    def hook(module: nn.Module, args: Sequence[Any], kwargs: dict[str, Any], output: Any) -> Any:
        before = args[0] if args else kwargs["hidden_states"]
        # (…, B, T, hidden): Gemma 3n has four streams
        after = output[0] if isinstance(output, tuple) else output
        states = after.clone()
        states[..., -1, :] = torch.where(
            skipped.to(after.device)[:, None], before[..., -1, :], after[..., -1, :]
        )
        return (states, *output[1:]) if isinstance(output, tuple) else states

    return hook


def _send_to(order: Tensor) -> Callable[..., Any]:
    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        """output: router logits, weights (B·T, k) and indices (B·T, k) of the chosen experts."""
        if not (isinstance(output, tuple) and len(output) == 3 and output[2].dtype == torch.long):
            raise PipelineError(f"{type(module).__name__}: route experts: its output is not understood")
        indices = output[2].unflatten(0, (len(order), -1)).clone()  # (B, T, k)
        indices[:, -1] = order[:, : indices.shape[2]].to(indices)
        return (*output[:2], indices.flatten(0, 1))

    return hook
