"""Structural routes in plain transformers: a context manager around `generate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import Cache

from random_routing.law.mixing import effective_rate, mix
from random_routing.law.noise import Source, spread, uniform
from random_routing.law.routes import barred
from random_routing.law.vocabulary import Vocabulary
from random_routing.models.random_paths import along, check_parts, choices, parts_of
from random_routing.models.shape import experts_of, heads_of
from random_routing.settings import Route


@contextmanager
def random_routing(
    model: nn.Module,
    route: Route,
    q: float = 0.0,
    lam: float = 0.0,
    vocabulary: Vocabulary | None = None,
    seed: int = 0,
) -> Iterator[None]:
    """Within it, the model's last logits (B, V) are log P of the routing law with a structural route:

        P(x|y) = r·p̃(x|y) + (1−r)·p(x|y),   r = 1 − (1−q)(1−λ)

    where p̃ is the model's own distribution with its last token run along a random path, a new one for
    every row and token (`random_routing.models.random_paths`). The cache of the model's own path is left as it is.
    A token costs two passes and a copy of the cache; the pipeline's own decoder does it with less.
    `generate` applies its temperature and truncations to the mixture, and some are on by default: pass
    `temperature=1.0, top_k=0, top_p=1.0` for the law itself. Only the last position is mixed, so assisted
    and prompt-lookup decoding, which look at several, do not follow it.

    Args:
        model: a Hugging Face causal or encoder–decoder model.
        route: `Route("heads", drop=0.2)`, `Route("layers", drop=0.2)` or `Route("experts")`.
        q, lam: in [0, 1]; both have the same route here, so only r counts.
        vocabulary: what p̃ may give mass to, such as `vocabulary_of(model, tokenizer)`; None: all tokens.
        seed: of the paths; a row's paths do not depend on the other rows. Give each context another one:
            two with the same seed walk the same paths.

    Raises ValueError for a value out of range and for a call that does not give the cache by its name or
    asks for a tuple, `PipelineError` for a model without the parts.

    Examples:

    ```python
    >>> import torch
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> from random_routing import Route, random_routing

    >>> model = LlamaForCausalLM(LlamaConfig(
    ...     vocab_size=16, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8))
    >>> prompt = torch.tensor([[1, 5, 7]])
    >>> with random_routing(model, Route("heads", drop=0.5), lam=0.2):
    ...     output = model.generate(
    ...         prompt, do_sample=True, top_k=0, max_new_tokens=4, min_new_tokens=4, pad_token_id=0)
    >>> output.shape
    torch.Size([1, 7])

    ```
    """
    for name, weight in (("q", q), ("lam", lam)):
        if not 0 <= weight <= 1:
            raise ValueError(f"`{name}` has to be a float in the [0, 1] interval, but is {weight}")
    if not route.structural or not 0 <= route.drop < 1:
        raise ValueError(
            f"`route` has to be heads, layers (0 <= drop < 1) or experts, but is {route.kind}, {route.drop}"
        )
    parts, config = parts_of(model), model.config
    check_parts(type(model).__name__, route, heads_of(config), len(parts.layers), experts_of(config))
    rate, step, kept = effective_rate(q, lam), 0, {}

    def keep_cache(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        if any(isinstance(arg, Cache) for arg in args) or kwargs.get("return_dict") is False:
            raise ValueError(
                "random_routing: pass past_key_values by its name, and do not set return_dict=False"
            )
        kept["cache"] = deepcopy(kwargs.get("past_key_values"))  # before the own path writes into it

    def mix_in(module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        nonlocal step
        rows = output.logits.shape[0]
        step += 1
        words = [Source(seed, "context", "", row).words("path_q", step)[-1] for row in range(rows)]
        u = uniform(spread(torch.from_numpy(np.array(words).view(np.int64)), parts.width(route)))
        if "past_key_values" in kwargs:
            kwargs = {**kwargs, "past_key_values": kept.pop("cache")}
        with along(parts, route, choices(parts, route, u.to(output.logits.device))):
            other = module.forward(*args, **kwargs).logits[:, -1].float()
        if vocabulary is not None:
            other = other + barred(vocabulary, other.device)
        logits = output.logits.float()
        law = mix(logits[:, -1].softmax(-1), other.softmax(-1), rate)  # (B, V)
        output.logits = torch.cat([logits[:, :-1], law.log()[:, None]], dim=1)
        return output

    handles = [
        model.register_forward_pre_hook(keep_cache, with_kwargs=True),
        model.register_forward_hook(mix_in, with_kwargs=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
