"""Random routing for `generate(custom_generate=…)` of transformers: as a repository's recipe, and as a function.

    model.generate(**inputs, custom_generate=REPOSITORY, trust_remote_code=True, tokenizer=tokenizer, q=0.03)
    model.generate(**inputs, custom_generate=routed, vocabulary=vocabulary_of(model, tokenizer), q=0.03, do_sample=True)

Both sample from the law by `RandomRoutingLogitsProcessor`. Routes and base are written as in params.yaml.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from torch import Tensor
from transformers import LogitsProcessorList

from random_routing.integrations.processor import RandomRoutingLogitsProcessor, vocabulary_of
from random_routing.law.vocabulary import Vocabulary
from random_routing.settings import Base, Route

REPOSITORY = str(
    Path(__file__).parent / "hub_repository"
)  # a folder that can be pushed to the hub as it is
OFF = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}  # what `base` says in their place
LAW = ("q", "lambda_", "q_route", "lambda_route", "base", "include_eos")


def generate(model: Any, **arguments: Any) -> Any:
    """What the repository's recipe calls: `model.generate` with a processor more.

    arguments: those of `generate`, with `tokenizer`, and of the law: q, lambda_ (0 if left out), q_route, lambda_route
    ("uniform"), base ("sample"), include_eos (False). Raises `ValueError` for one that cannot be.
    """
    law = {name: arguments.pop(name) for name in LAW if name in arguments}
    tokenizer = arguments.get("tokenizer")
    if tokenizer is None:
        raise ValueError("`tokenizer` is needed: it says which tokens a random route may draw")
    vocabulary = vocabulary_of(model, tokenizer, law.pop("include_eos", False))
    others = arguments.pop("logits_processor", None) or []
    processors = LogitsProcessorList([*others, _processor(vocabulary, **law)])
    return model.generate(logits_processor=processors, **(OFF | _given(arguments)))


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
    **arguments: Any,
) -> Any:
    """A decoding method: transformers' own sampling with a processor more, after those that forbid tokens.

    Raises `ValueError` with truncations of `generate`, which would come before the mixture here: `base` has them.
    """
    if vocabulary is None:
        raise ValueError("`vocabulary` is needed, such as vocabulary_of(model, tokenizer)")
    warpers = [type(one).__name__ for one in logits_processor if type(one).__name__.endswith("Warper")]
    if warpers or not generation_config.do_sample:
        said = f"not {', '.join(warpers)}" if warpers else "not do_sample=False"
        raise ValueError(f"generate has to have {OFF}, {said}: give temperature and truncations as `base`")
    processors = LogitsProcessorList(
        [*logits_processor, _processor(vocabulary, q, lambda_, q_route, lambda_route, base)]
    )
    return model._sample(input_ids, processors, stopping_criteria, generation_config, **arguments)


def _processor(
    vocabulary: Vocabulary, q: float = 0.0, lambda_: float = 0.0, q_route: Any = "uniform",
    lambda_route: Any = "uniform", base: Any = "sample",
) -> RandomRoutingLogitsProcessor:  # fmt: skip
    return RandomRoutingLogitsProcessor(
        vocabulary, q, lambda_, _read(Route, "q_route", q_route), _read(Route, "lambda_route", lambda_route),
        _read(Base, "base", base),
    )  # fmt: skip


def _read(kind: type, name: str, value: Any) -> Any:
    """As written in params.yaml, or already made."""
    if isinstance(value, kind):
        return value
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise ValueError(f"`{name}` = {value!r}: {error.errors()[0]['msg']}") from None


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    """transformers hands on every argument of `generate`, None where a person gave none."""
    return {name: value for name, value in arguments.items() if value is not None}
