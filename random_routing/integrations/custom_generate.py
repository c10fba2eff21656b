"""Random routing for `generate(custom_generate=…)` of transformers: as a repository's recipe, and as a function.

    model.generate(**inputs, custom_generate=REPOSITORY, trust_remote_code=True, tokenizer=tokenizer, q=0.03)
    model.generate(**inputs, custom_generate=routed, vocabulary=vocabulary_of(model, tokenizer), q=0.03, do_sample=True)

Both sample from the law by `RandomRoutingLogitsProcessor`. Routes, base, gates and schedules are written as in
params.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessorList

from random_routing.integrations.law_arguments import read
from random_routing.integrations.processor import RandomRoutingLogitsProcessor, vocabulary_of
from random_routing.law.noise import Source
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Base, Gate, Route, Schedule

REPOSITORY = str(
    Path(__file__).parent / "hub_repository"
)  # a folder that can be pushed to the hub as it is
OFF = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}  # what `base` says in their place
WRITTEN: dict[str, type] = {
    "q_route": Route, "lambda_route": Route, "base": Base, "q_gate": Gate, "lambda_gate": Gate,
    "q_schedule": Schedule, "lambda_schedule": Schedule,
}  # fmt: skip
LAW = ("q", "lambda_", *WRITTEN, "seed", "sources")


def generate(model: Any, **arguments: Any) -> Any:
    """What the repository's recipe calls: `model.generate` with a processor more.

    arguments: those of `generate`, with `tokenizer`, and of the law: q, lambda_ (0 if left out), q_route, lambda_route
    ("uniform"), base ("sample"), q_gate, lambda_gate ("token"), q_schedule, lambda_schedule ("constant"), include_eos
    (False), seed (of gates and `frozen`; from torch's generator if left out), sources (a `Source` per row: the
    pipeline's own tokens). Raises `ValueError` for one that cannot be.
    """
    tokenizer = arguments.get("tokenizer")
    if tokenizer is None:
        raise ValueError("`tokenizer` is needed: it says which tokens a random route may draw")
    vocabulary = vocabulary_of(model, tokenizer, arguments.pop("include_eos", False))
    law = {name: arguments.pop(name) for name in LAW if name in arguments}
    given = _given(arguments)
    others = given.pop("logits_processor", [])
    processors = LogitsProcessorList([*others, _processor(vocabulary, _steps(model, given), law)])
    return model.generate(logits_processor=processors, **(OFF | given))


def routed(
    model: Any,
    input_ids: Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: Any,
    generation_config: Any,
    vocabulary: Vocabulary | None = None,
    q: float = 0.0,
    lambda_: float = 0.0,
    q_route: Any = "uniform",
    lambda_route: Any = "uniform",
    base: Any = "sample",
    q_gate: Any = "token",
    lambda_gate: Any = "token",
    q_schedule: Any = "constant",
    lambda_schedule: Any = "constant",
    seed: int | None = None,
    sources: Sequence[Source] | None = None,
    **arguments: Any,
) -> Any:
    """A decoding method: transformers' own sampling with a processor more, after those that forbid tokens.

    The law's arguments are those of `generate` above. Raises `ValueError` with truncations of transformers' own
    `generate`, which would come before the mixture here: `base` has them.
    """
    if vocabulary is None:
        raise ValueError("`vocabulary` is needed, such as vocabulary_of(model, tokenizer)")
    warpers = [type(one).__name__ for one in logits_processor if type(one).__name__.endswith("Warper")]
    if warpers or not generation_config.do_sample:
        said = f"not {', '.join(warpers)}" if warpers else "not do_sample=False"
        raise ValueError(f"generate has to have {OFF}, {said}: give temperature and truncations as `base`")
    law = {name: value for name, value in locals().items() if name in LAW}
    steps = generation_config.max_length - input_ids.shape[1]
    processors = LogitsProcessorList([*logits_processor, _processor(vocabulary, steps, law)])
    return model._sample(input_ids, processors, stopping_criteria, generation_config, **arguments)


def _processor(
    vocabulary: Vocabulary, steps: int | None, law: dict[str, Any]
) -> RandomRoutingLogitsProcessor:
    """steps: of a text at most, None where nobody said. law: some of `LAW`."""
    law = {
        name: read(WRITTEN[name], name, value) if name in WRITTEN else value for name, value in law.items()
    }
    law["lam"] = law.pop("lambda_", 0.0)
    if law.get("seed") is None:
        law["seed"] = _seed(law)
    return RandomRoutingLogitsProcessor(vocabulary, max_new_tokens=steps, **law)


def _seed(law: dict[str, Any]) -> int:
    """From torch's generator, so that each call has gates of its own; a law that draws none leaves it alone."""
    kinds = {law[name].kind for name in WRITTEN if name in law and name != "base"}
    drawn = kinds & {"span", "sequence", "frozen"}
    return int(torch.randint(2**62, ())) if drawn else 0


def _steps(model: Any, given: dict[str, Any]) -> int | None:
    """`max_new_tokens` as `generate` finds it."""
    configs = [given.get("generation_config"), model.generation_config]
    for config in [given, *(vars(config) for config in configs if config is not None)]:
        if config.get("max_new_tokens"):
            return int(config["max_new_tokens"])
    return None


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    """transformers hands on every argument of `generate`, None where a person gave none."""
    return {name: value for name, value in arguments.items() if value is not None}
