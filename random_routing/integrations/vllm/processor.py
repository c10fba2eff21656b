"""A logits processor for vLLM: `vllm.logits_processors` names it, so that an installed package is all it takes.

    llm.generate(prompts, SamplingParams(temperature=1.0, extra_args={"random_routing": {"q": 0.03}}))

vLLM has two model runners, each with an interface of its own, and decides between them when an engine starts.
`RandomRouting` is a class of both, or of the one that is installed. Sources: vllm/v1/sample/logits_processor and
vllm/v1/worker/gpu/sample/logits_processor of vLLM 0.32.
"""

from __future__ import annotations

import types
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from torch import Tensor

from random_routing.errors import SettingsError
from random_routing.integrations.vllm.batch import Request, apply_law
from random_routing.integrations.vllm.settings import KEY, asked
from random_routing.law.vocabulary import Vocabulary, sampling_vocabulary, stop_tokens

VERSIONS = "0.32"  # of vLLM, whose sources and behaviour were looked at
INTERFACES = ("vllm.v1.worker.gpu.sample.logits_processor", "vllm.v1.sample.logits_processor")


def _interfaces() -> tuple[type, ...]:
    """`LogitsProcessor` of the current runner and of V1, as far as this vLLM has them. Raises `ImportError`."""
    found = []
    for name in INTERFACES:
        try:
            found.append(import_module(name).LogitsProcessor)
        except (ModuleNotFoundError, AttributeError):
            continue
    if not found:
        raise ImportError(
            f"{KEY}: this vLLM has no logits processors that are known; it needs vLLM {VERSIONS}"
        )
    return tuple(found)


@cache
def check_version() -> None:
    """Requests with routes are refused by a vLLM whose sampler nobody has looked at. Raises `ValueError`."""
    version: str = import_module("vllm").__version__
    if ".".join(version.split(".")[:2]) != VERSIONS:
        raise ValueError(f"{KEY}: follows the law in vLLM {VERSIONS}, and this is {version}")


class Routed:
    """What both interfaces ask for. Requests without `random_routing` in `extra_args` are left as they are."""

    def __init__(self, vllm_config: Any, states: Any, is_pin_memory: bool = False) -> None:
        """states: the current runner's request states; for V1 the device, which is not needed.

        Raises `ValueError` where the processor is named beside its entry point: the law would be applied twice.
        """
        named = [
            getattr(one, "__qualname__", one) for one in vllm_config.model_config.logits_processors or ()
        ]
        mine = [name for name in named if str(name).split(":")[-1] == "RandomRouting"]
        if mine and any(one.name == KEY for one in entry_points(group="vllm.logits_processors")):
            raise ValueError(f"{KEY}: is loaded by its entry point already; leave out --logits-processors")
        self.config, self.states = vllm_config.model_config, states
        self.requests: dict[int, tuple[Request, list[int]]] = {}  # by slot; V1: with its tokens so far
        self.vocabularies: dict[tuple[bool, frozenset[int]], Vocabulary] = {}

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Raises `ValueError` with one line: that request is refused, by a server with status 400."""
        try:
            if asked(sampling_params) is not None:
                check_version()
        except SettingsError as error:
            raise ValueError(str(error)) from None

    def is_argmax_invariant(self) -> bool:
        """V1: a random route changes which token is the likeliest."""
        return False

    def update_state(self, batch_update: Any) -> None:
        """V1: before every step, which requests came, went and moved."""
        from vllm.v1.sample.logits_processor import process_dict_updates

        def added(params: Any, prompt: Any, output: list[int]) -> tuple[Request, list[int]] | None:
            request = self._request(params)
            return None if request is None else (request, output)

        process_dict_updates(self.requests, batch_update, added)

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """The current runner: a request takes a slot. Returns whether its logits will be changed."""
        self.requests.pop(req_idx, None)  # of whoever had the slot
        request = self._request(sampling_params)
        if request is not None:
            self.requests[req_idx] = (request, [])
        return request is not None

    def apply(self, logits: Tensor, ctx: Any = None) -> Tensor:
        """logits: (rows, V) float32, changed in place in the rows of routed requests. ctx: the current runner's."""
        if not self.requests:
            return logits
        if ctx is None:
            rows = {slot: (one, len(output)) for slot, (one, output) in self.requests.items()}
        else:
            steps = self._steps(ctx, len(logits))
            rows = {
                row: (self.requests[slot][0], step)
                for row, (slot, step) in enumerate(steps)
                if slot in self.requests
            }
        apply_law(logits, rows)
        return logits

    def _steps(self, ctx: Any, rows: int) -> list[tuple[int, int]]:
        """Slot and step of each row. With speculative decoding a request has several rows, which the device knows."""
        if len(ctx.idx_mapping_np) == rows:
            slots, lengths = ctx.idx_mapping_np.tolist(), ctx.seq_lens_upper_bound_np.tolist()
        else:
            slots, lengths = ctx.expanded_idx_mapping.tolist(), (ctx.pos + 1).tolist()
        prompts = self.states.prompt_len.np
        # Lengths may be padded.
        return [(slot, length - int(prompts[slot])) for slot, length in zip(slots, lengths, strict=False)]

    def _request(self, params: Any) -> Request | None:
        routing = asked(params)
        if routing is None:
            return None
        vocabulary = self._vocabulary(routing.include_eos, frozenset(params.stop_token_ids or ()))
        steps = params.max_tokens or self.config.max_model_len
        return Request(routing, vocabulary, steps, params.seed or 0)

    def _vocabulary(self, include_eos: bool, stop: frozenset[int]) -> Vocabulary:
        """What a random route may draw; not what ends the model's texts or this request, unless `include_eos`."""
        if (include_eos, stop) not in self.vocabularies:
            tokenizer = _tokenizer(self.config)
            eos = self.config.try_get_generation_config().get("eos_token_id")
            stop_all = stop | stop_tokens(tokenizer, eos, at_newline=False)
            width = self.config.get_vocab_size()
            made = sampling_vocabulary(tokenizer, width, stop_all, include_eos)
            self.vocabularies[include_eos, stop] = made
        return self.vocabularies[include_eos, stop]


def _tokenizer(config: Any) -> Any:
    """Raises `ValueError` where there is none, or none of Hugging Face's."""
    from vllm.tokenizers.registry import cached_tokenizer_from_config

    tokenizer = cached_tokenizer_from_config(config)
    if not hasattr(tokenizer, "added_tokens_decoder"):
        raise ValueError(f"{KEY}: needs a Hugging Face tokenizer, which says what tokens are special")
    return tokenizer


def __getattr__(name: str) -> Any:
    """`RandomRouting`, made when it is first asked for: vLLM is not needed to import this module."""
    if name != "RandomRouting":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = types.new_class(
        name, (Routed, *_interfaces()), exec_body=lambda body: body.update(__module__=__name__)
    )
    globals()[name] = made
    return made
