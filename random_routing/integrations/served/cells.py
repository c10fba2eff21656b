"""What is asked of a served model: decoders, and a request for each text of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from random_routing.endpoint import NEUTRAL
from random_routing.errors import SettingsError
from random_routing.integrations.asked import Grid
from random_routing.integrations.vllm.settings import KEY, Routing, read_routing
from random_routing.law.cells import mean_rate
from random_routing.law.noise import Source
from random_routing.settings.checks import Name, whole

TASK = "served"  # in the address of the noise


@dataclass(frozen=True)
class Asked(Grid):
    """What is checked of `run_served`'s arguments."""

    variants: dict[Name, dict[str, Any]]
    concurrency: Annotated[int, whole(1, 1024, "connections at a time")]


@dataclass(frozen=True)
class ServedCell:
    """A decoder. about: its columns of the table; settings: what the processor is told, empty: nothing."""

    about: dict[str, Any]
    settings: dict[str, Any]

    def body(self, model: str, prompt: str, tokens: int, source: Source) -> dict[str, Any]:
        """A request for one text. Its seed depends on the text's address alone, so that decoders share it."""
        asked = {KEY: json.dumps(self.settings, sort_keys=True)} if self.settings else {}
        return {
            "model": model, "prompt": prompt, "max_tokens": tokens, "logprobs": 0, "stream": False, "n": 1,
            "seed": int(source.words("token_model", 1)[0] >> 1), "vllm_xargs": asked or None,
            **NEUTRAL,
        }  # fmt: skip


def cells(asked: Asked) -> list[ServedCell]:
    """Baselines and variants by the names of `run_grid`. Raises `SettingsError` for what the processor cannot do."""
    made = []
    for family, bases in asked.baselines.items():
        if family == "annealing":
            raise SettingsError(
                "baselines.annealing: cannot be had in vLLM, where a base does not change over a text"
            )
        for base in bases:
            setting = None if family == "greedy" else getattr(base, family)
            settings: dict[str, Any] = {"base": "greedy" if family == "greedy" else {family: setting}}
            name = family if family == "greedy" else f"{family}-{setting:.12g}"
            made.append(_cell(name, family, settings, setting=setting))
    for name, variant in asked.variants.items():
        for rate in {"q", "lambda"} & set(variant):
            raise SettingsError(f"variants.{name}.{rate}: stands above the variants, as a list of rates")
        for q in asked.q:
            for lam in asked.lam:
                settings = {**variant, "q": q, "lambda": lam}
                routing = _routing(name, settings)
                gated = "entropy" in (routing.q_gate.kind, routing.lambda_gate.kind)
                r = None if gated else mean_rate(routing, q, lam, asked.max_new_tokens)  # type: ignore[arg-type]
                cell = f"routing-{name}-q{q:.12g}-l{lam:.12g}"
                made.append(_cell(cell, "routing", settings, variant=name, q=q, lam=lam, r=r))
    return made


def _routing(name: str, settings: Mapping[str, Any]) -> Routing:
    try:
        return read_routing(dict(settings))
    except SettingsError as error:
        raise SettingsError(str(error).replace(f"{KEY}: ", f"variants.{name}.", 1)) from None


def _cell(
    name: str, family: str, settings: dict[str, Any], variant: str = "", q: float | None = None,
    lam: float | None = None, r: float | None = None, setting: float | None = None,
) -> ServedCell:  # fmt: skip
    about = {
        "decoder": name, "family": family, "variant": variant, "q": q, "lambda": lam, "r": r, "setting": setting,
    }  # fmt: skip
    return ServedCell(about, {} if read_routing(settings).plain else settings)


def probes(model: str, prompt: str, seeds: Sequence[int]) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """Requests that show whether the processor is at work: one that it refuses, some whose texts are all one, and
    some whose texts are all different."""
    sources = [Source(seed, "probe", "", 0) for seed in seeds]

    def bodies(settings: dict[str, Any]) -> list[Any]:
        return [ServedCell({}, settings).body(model, prompt, 16, source) for source in sources]

    wrong = ServedCell({}, {"q": 2}).body(model, prompt, 1, sources[0])
    return wrong, bodies({"q": 1, "q_route": {"top_k": 1}}), bodies({"q": 1, "q_route": "uniform"})
