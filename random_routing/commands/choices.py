"""What a person chooses on the command line → a whole params.yaml, checked before anything is written."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.comments import CommentedMap

from random_routing.commands.sweep import sweep
from random_routing.errors import PipelineError, SettingsError, short
from random_routing.metrics import METRICS
from random_routing.settings import parse_settings

SOURCES = ("hf:", "file:", "pypi:", "served:")


@dataclass(frozen=True)
class Choice:
    """What is left out stays as the base file has it. models, judge, data: names under `assets`, sources, or
    paths. Several models or seeds: a task of each. changes: other keys, from the top of the file down to the value.
    """

    task: str
    models: Sequence[str] = ()
    judge: str = ""
    data: str = ""
    tokenizer: str = ""  # of models that a server runs
    fields: Mapping[str, str] = field(default_factory=dict)
    q: Sequence[float] = ()
    lam: Sequence[float] = ()
    variants: Sequence[str] = ()
    temperature: Sequence[float] = ()
    examples: int | None = None
    samples: int | None = None
    tokens: int | None = None
    seeds: Sequence[int] = ()
    languages: Sequence[str] = ()
    changes: Mapping[tuple[str, ...], Any] = field(default_factory=dict)


def parameters(base: str, choice: Choice, name: str = "params.yaml", folder: Path = Path()) -> str:
    """base: a params.yaml, whose comments stay, from the file `name`; folder: what its own paths start from. Raises
    `PipelineError`.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        values = _spelt_out(yaml.load(base))
    except YAMLError as error:
        raise PipelineError(f"{name}: is no YAML ({short(error)})") from None
    for flag, given in (("model", choice.models), ("seed", choice.seeds)):
        if twice := [one for i, one in enumerate(given) if one in given[:i]]:
            raise PipelineError(f"--{flag} {twice[0]}: stands twice")
    try:
        parse_settings(values, METRICS)
    except SettingsError as error:
        raise PipelineError(str(error).replace("params.yaml", name, 1)) from None
    _choose_task(values, choice, name)
    models = _choose_assets(values, choice)
    sweep(values, choice.task, models, choice.seeds)
    values["baselines"] = values["baselines"] or {}  # a key without a value
    _choose_grid(values, choice)
    _make_paths_whole(values, folder)
    for key, value in choice.changes.items():
        section = values
        for part in key[:-1]:
            section = section[part]
        section[key[-1]] = value
    try:
        parse_settings(values, METRICS)
    except SettingsError as error:
        raise PipelineError(str(error).replace("params.yaml: ", "what was chosen: ", 1)) from None
    text = io.StringIO()
    yaml.dump(values, text)
    return text.getvalue()


def _spelt_out(value: Any) -> Any:
    """Each mapping by itself, also where one is merged into another (`<<`): what is changed in it changes no other."""
    if getattr(value, "merge", None) or getattr(value, "_ref", None):  # what is merged in knows it
        value = CommentedMap((key, deepcopy(item)) for key, item in value.items())
    if isinstance(value, (dict, list)):
        for place in value if isinstance(value, dict) else range(len(value)):
            value[place] = _spelt_out(value[place])
    return value


def _choose_task(values: Any, choice: Choice, name: str) -> None:
    tasks = values["tasks"]
    if choice.task not in tasks:
        raise PipelineError(f"--task {choice.task}: {name} has no such task; it has {_names(tasks)}")
    for other in [task for task in tasks if task != choice.task]:
        del tasks[other]
    values["learning"] = {}  # it is no part of a task
    task = tasks[choice.task]
    for key, value in (
        ("examples", choice.examples), ("samples", choice.samples), ("max_new_tokens", choice.tokens),
        *zip(("source_language", "target_language"), choice.languages, strict=False),
    ):  # fmt: skip
        if value is not None:
            task[key] = value
    about = {choice.task, task.get("kind", choice.task)}
    variants = values["variants"]
    for other in [key for key, one in variants.items() if one.get("tasks") and not about & {*one["tasks"]}]:
        del variants[other]
    if values.get("learning"):
        values["learning"] = {}


def _choose_assets(values: Any, choice: Choice) -> list[str]:
    """Those that the task uses stay, since all that the file has are fetched. Returns the names of the models."""
    task, assets = values["tasks"][choice.task], values["assets"]
    if choice.fields and (not choice.data or choice.data in assets):
        raise PipelineError("--field: needs --data with rows of your own")
    if choice.tokenizer and not any(given.startswith("served:") for given in choice.models):
        raise PipelineError(
            "--tokenizer: is that of a model that a server runs; name one, --model served:http://…"
        )
    models = [_asset(values, "model", given, choice, i) for i, given in enumerate(choice.models)] or [
        task["model"]
    ]
    task["model"] = models[0]
    for role, given in (("judge", choice.judge), ("data", choice.data)):
        if given:
            task[role] = _asset(values, role, given, choice)
    used = {*models, task["judge"], task["data"], values["embedder"]}
    trained = values.get("trained") or {}
    for name in [name for name in trained if name not in used]:
        del trained[name]
    used |= {one["data"] for one in trained.values()}
    for name in [name for name in assets if name not in used]:
        del assets[name]
    return models


def _asset(values: Any, role: str, given: str, choice: Choice, number: int = 0) -> str:
    """The name of a model or of data that was chosen; a source of a person's own is added under a name for it."""
    assets, kind = values["assets"], "data" if role == "data" else "model"
    names = [name for name, asset in assets.items() if asset.get("kind") == kind]
    names += [*(values.get("trained") or {})] if kind == "model" else []
    if given in names:
        return given
    if given in assets:
        raise PipelineError(f"--{role} {given}: is no {kind}; there are {_names(names)}")
    own: dict[str, Any] = {"kind": kind, "source": _source(role, given, names)}
    if given.startswith("served:"):
        if not choice.tokenizer:
            raise PipelineError(f"--{role} {given}: needs --tokenizer, hf:name@revision or a folder")
        own["tokenizer"] = _source("tokenizer", choice.tokenizer, ())
    own |= {"reader": "records"} if kind == "data" else {}
    own |= {"fields": dict(choice.fields)} if kind == "data" and choice.fields else {}
    name = f"own-{role}" if role != "model" or len(choice.models) == 1 else f"own-model-{number + 1}"
    assets[name] = own
    return name


def _source(role: str, given: str, names: Sequence[str]) -> str:
    """Local paths become whole ones: a workspace lies elsewhere."""
    scheme, colon, rest = given.partition(":")
    if f"{scheme}{colon}" in SOURCES and scheme != "file":
        return given
    path = Path(rest if scheme == "file" and colon else given)
    if not path.exists():
        raise PipelineError(
            f"--{role} {given}: is not there; must be hf:repository@revision, a path{_or_one_of(names)}"
        )
    return f"file:{path.resolve()}"


def _or_one_of(names: Sequence[str]) -> str:
    return f", or one of {_names(names)}" if names else ""


def _make_paths_whole(values: Any, folder: Path) -> None:
    """Of the file's own, relative to its folder: a workspace lies elsewhere."""

    def whole(source: str) -> str:
        return (
            f"file:{(folder / source.removeprefix('file:')).resolve()}"
            if source.startswith("file:")
            else source
        )

    for asset in values["assets"].values():
        source = asset["source"]
        asset["source"] = [whole(part) for part in source] if isinstance(source, list) else whole(source)
        if "tokenizer" in asset:
            asset["tokenizer"] = whole(asset["tokenizer"])
    for variant in values["variants"].values():
        for route in ("q_route", "lambda_route"):
            if isinstance(variant[route], dict) and "unigram" in variant[route]:
                variant[route]["unigram"] = str((folder / variant[route]["unigram"]).resolve())


def _choose_grid(values: Any, choice: Choice) -> None:
    """With rates of their own, the variants have no other ones. Hypotheses about variants that are left out go."""
    variants, given = values["variants"], bool(choice.q or choice.lam)
    two_knobs = [name for name in ("plausible", "likeliest") if name in variants]
    chosen = choice.variants or tuple((two_knobs[:1] or variants) if given else variants)
    if unknown := [name for name in chosen if name not in variants]:
        raise PipelineError(f"--variants {unknown[0]}: must be one of {_names(variants)}")
    for name in [name for name in variants if name not in chosen]:
        del variants[name]
    for name in chosen if given else ():
        variants[name].pop("grid", None)
    if choice.q:
        values["grid"]["q"] = list(choice.q)
    if choice.lam:
        values["grid"]["lambda"] = list(choice.lam)
    if choice.temperature:
        values["baselines"]["temperature"] = list(choice.temperature)
    contrasts = values["comparison"].get("contrasts") or {}
    for name in [name for name, contrast in contrasts.items() if contrast.get("variant") not in chosen]:
        del contrasts[name]
    values["tune"] |= {"enabled": False, "variants": list(chosen)}


def _names(names: Any) -> str:
    return ", ".join(map(str, names or ())) or "none"
