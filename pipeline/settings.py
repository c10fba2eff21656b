"""`params.yaml` as frozen dataclasses, checked whole before any work.

Unknown keys, missing keys and values out of range raise `SettingsError` with one line that names
the file, the key, the value and what is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipeline import checks
from pipeline.checks import SettingsError, fail

TASK_KEYS = ("textgen", "dialogue", "translation")
METRIC_NAMES = (
    "distinct_1", "distinct_2", "distinct_3", "self_bleu", "seq_rep_4", "perplexity",
    "generator_perplexity", "context_similarity", "reference_similarity", "length", "empty",
    "bleu", "chrf", "ter",
)  # fmt: skip
READERS = ("sotu", "chitchat", "homeassistant", "records")


@dataclass(frozen=True)
class Base:
    """A base decoder: how p comes from the model's logits. The defaults leave them as they are."""

    greedy: bool = False
    temperature: float = 1.0
    top_k: int = 0  # 0: off
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    eta: float = 0.0


@dataclass(frozen=True)
class Route:
    """A random route: δ uniform over the sampling vocabulary, or over its k likeliest tokens."""

    kind: str  # uniform | top_k
    k: int = 0


@dataclass(frozen=True)
class Variant:
    base: Base
    q_route: Route
    lambda_route: Route


@dataclass(frozen=True)
class Asset:
    """A pinned model, embedder or data set. `sources` are the parts of one asset, in order."""

    name: str
    kind: str  # model | embedder | data
    sources: tuple[str, ...]
    sha256: tuple[str, ...] = ()
    members: tuple[str, ...] = ()  # globs, or folders ending in /, inside a wheel
    joined_sha256: str = ""
    reader: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    split: str = "test"  # which split of a hub data set


@dataclass(frozen=True)
class Task:
    name: str
    model: str
    judge: str
    data: str
    examples: int
    samples: int
    max_new_tokens: int
    beams: tuple[int, ...]
    prompt_tokens: int = 0  # textgen
    turns: int = 0  # dialogue
    shots: int = 0  # translation
    source_language: str = ""
    target_language: str = ""


@dataclass(frozen=True)
class Settings:
    seed: int
    dtype: str
    batch_size: int
    max_rows: int
    q: tuple[float, ...]
    lambdas: tuple[float, ...]
    lambda_means: str
    coupling: str
    variants: dict[str, Variant]
    include_eos: bool
    baselines: dict[str, tuple[Base, ...]]  # family → decoders
    tasks: dict[str, Task]
    embedder: str
    metrics: tuple[str, ...]
    resamples: int
    confidence: float
    assets: dict[str, Asset]


def load_settings(path: str | Path = "params.yaml") -> Settings:
    """Read and check the parameters file. Raises `SettingsError`."""
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    return parse_settings(raw)


def parse_settings(raw: Any) -> Settings:
    """Settings from the parsed YAML of a parameters file. Raises `SettingsError`."""
    if not isinstance(raw, dict):
        raise SettingsError("params.yaml: must hold a mapping (key: value lines)")
    sections = (
        "seed", "dtype", "batch_size", "max_rows", "grid", "lambda_means", "coupling", "variants",
        "include_eos", "baselines", "tasks", "embedder", "metrics", "bootstrap", "assets",
    )  # fmt: skip
    checks.keys("", raw, sections)
    grid = checks.mapping("grid", raw["grid"])
    checks.keys("grid", grid, ("q", "lambda"))
    bootstrap = checks.mapping("bootstrap", raw["bootstrap"])
    checks.keys("bootstrap", bootstrap, ("resamples", "confidence"))
    assets = {n: _asset(n, v) for n, v in checks.mapping("assets", raw["assets"]).items()}
    metrics = checks.sequence("metrics", raw["metrics"])
    return Settings(
        seed=checks.integer("seed", raw["seed"], 0),
        dtype=checks.choice("dtype", raw["dtype"], ("float32", "bfloat16")),
        batch_size=checks.integer("batch_size", raw["batch_size"], 1),
        max_rows=checks.integer("max_rows", raw["max_rows"], 2),
        q=_grid("grid.q", grid["q"]),
        lambdas=_grid("grid.lambda", grid["lambda"]),
        lambda_means=checks.choice("lambda_means", raw["lambda_means"], ("explore", "exploit")),
        coupling=checks.choice("coupling", raw["coupling"], ("common", "independent")),
        variants={n: _variant(n, v) for n, v in checks.mapping("variants", raw["variants"]).items()},
        include_eos=checks.boolean("include_eos", raw["include_eos"]),
        baselines=_baselines(checks.mapping("baselines", raw["baselines"], empty_ok=True)),
        tasks={n: _task(n, v, assets) for n, v in checks.mapping("tasks", raw["tasks"]).items()},
        embedder=_asset_name("embedder", raw["embedder"], assets, "embedder"),
        metrics=tuple(checks.choice(f"metrics[{i}]", m, METRIC_NAMES) for i, m in enumerate(metrics)),
        resamples=checks.integer("bootstrap.resamples", bootstrap["resamples"], 100, 1_000_000),
        confidence=checks.number("bootstrap.confidence", bootstrap["confidence"], 0.5, 0.999),
        assets=assets,
    )


def _grid(key: str, value: Any) -> tuple[float, ...]:
    return tuple(checks.number(f"{key}[{i}]", v, 0, 1) for i, v in enumerate(checks.sequence(key, value)))


# The values that a base decoder's settings may take: (low, high, low itself excluded).
BASE_RANGES = {
    "temperature": (0.0, 100.0, True),
    "top_p": (0.0, 1.0, True),
    "min_p": (0.0, 1.0, False),
    "typical_p": (0.0, 1.0, True),
    "eta": (0.0, 1.0, True),
}


def _base_value(key: str, name: str, value: Any) -> Base:
    if name == "top_k":
        return Base(top_k=checks.integer(key, value, 1))
    low, high, open_low = BASE_RANGES[name]
    checked = checks.number(key, value, low, high, open_low)
    if name in ("typical_p",) and checked == 1.0:
        raise fail(key, value, "must be below 1 (1 is plain sampling)")
    if name == "eta" and checked == 1.0:
        raise fail(key, value, "must be below 1")
    return Base(**{name: checked})  # type: ignore[arg-type]


def _base(key: str, value: Any) -> Base:
    """`sample`, `greedy`, or a mapping of one or more settings, as in {temperature: 0.7, top_p: 0.9}."""
    if value == "sample":
        return Base()
    if value == "greedy":
        return Base(greedy=True)
    allowed = f"must be sample, greedy, or a mapping of {', '.join(sorted((*BASE_RANGES, 'top_k')))}"
    if not isinstance(value, dict) or not value:
        raise fail(key, value, allowed)
    checks.keys(key, value, (), (*BASE_RANGES, "top_k"))
    merged = {n: getattr(_base_value(f"{key}.{n}", n, v), n) for n, v in value.items()}
    return Base(**merged)


def _route(key: str, value: Any) -> Route:
    if value == "uniform":
        return Route("uniform")
    if isinstance(value, dict) and list(value) == ["top_k"]:
        return Route("top_k", checks.integer(f"{key}.top_k", value["top_k"], 1))
    raise fail(key, value, "must be uniform or {top_k: k}")


def _variant(name: str, value: Any) -> Variant:
    key = f"variants.{name}"
    if not name.replace("-", "").replace("_", "").isalnum():
        raise fail(key, name, "a name may hold letters, digits, - and _ (it names files)")
    section = checks.mapping(key, value)
    checks.keys(key, section, ("base", "q_route", "lambda_route"))
    return Variant(
        _base(f"{key}.base", section["base"]),
        _route(f"{key}.q_route", section["q_route"]),
        _route(f"{key}.lambda_route", section["lambda_route"]),
    )


def _baselines(section: dict[str, Any]) -> dict[str, tuple[Base, ...]]:
    families: dict[str, tuple[Base, ...]] = {}
    checks.keys("baselines", section, (), ("greedy", "top_k", *BASE_RANGES))
    for family, values in section.items():
        key = f"baselines.{family}"
        if family == "greedy":
            families[family] = (Base(greedy=True),) if checks.boolean(key, values) else ()
        else:
            listed = checks.sequence(key, values, empty_ok=True)
            families[family] = tuple(_base_value(f"{key}[{i}]", family, v) for i, v in enumerate(listed))
    return families


TASK_EXTRA = {
    "textgen": ("prompt_tokens",),
    "dialogue": ("turns",),
    "translation": ("shots", "source_language", "target_language"),
}


def _task(name: str, value: Any, assets: dict[str, Asset]) -> Task:
    key = f"tasks.{name}"
    if name not in TASK_KEYS:
        raise fail(key, name, f"unknown task; allowed: {', '.join(TASK_KEYS)}")
    section = checks.mapping(key, value)
    common = ("model", "judge", "data", "examples", "samples", "max_new_tokens")
    checks.keys(key, section, (*common, *TASK_EXTRA[name]), ("beams",))
    beams = checks.sequence(f"{key}.beams", section.get("beams", []), empty_ok=True)
    extra: dict[str, Any] = {}
    for item in TASK_EXTRA[name]:
        if item.endswith("language"):
            extra[item] = checks.text(f"{key}.{item}", section[item])
        else:
            extra[item] = checks.integer(f"{key}.{item}", section[item], 0 if item == "shots" else 1)
    task = Task(
        name=name,
        model=_asset_name(f"{key}.model", section["model"], assets, "model"),
        judge=_asset_name(f"{key}.judge", section["judge"], assets, "model"),
        data=_asset_name(f"{key}.data", section["data"], assets, "data"),
        examples=checks.integer(f"{key}.examples", section["examples"], 2),
        samples=checks.integer(f"{key}.samples", section["samples"], 1),
        max_new_tokens=checks.integer(f"{key}.max_new_tokens", section["max_new_tokens"], 1),
        beams=tuple(checks.integer(f"{key}.beams[{i}]", b, 2, 64) for i, b in enumerate(beams)),
        **extra,
    )
    if task.judge == task.model:
        raise fail(f"{key}.judge", task.judge, "the judge must not be the generating model")
    return task


def _asset_name(key: str, value: Any, assets: dict[str, Asset], kind: str) -> str:
    return checks.choice(key, value, [n for n, a in assets.items() if a.kind == kind])


def _asset(name: str, value: Any) -> Asset:
    key = f"assets.{name}"
    section = checks.mapping(key, value)
    optional = ("sha256", "member", "joined_sha256", "reader", "fields", "split")
    checks.keys(key, section, ("kind", "source"), optional)
    kind = checks.choice(f"{key}.kind", section["kind"], ("model", "embedder", "data"))
    sources = _texts(f"{key}.source", section["source"])
    for source in sources:
        _check_source(f"{key}.source", source)
    hashes = _texts(f"{key}.sha256", section["sha256"]) if "sha256" in section else ()
    for digest in (*hashes, *_texts(f"{key}.joined_sha256", section.get("joined_sha256", []))):
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise fail(f"{key}.sha256", digest, "must be 64 hexadecimal digits")
    pinned = sum(s.startswith("pypi:") for s in sources)
    if pinned and (pinned != len(sources) or len(hashes) != pinned or not section.get("member")):
        raise fail(f"{key}.source", list(sources), "a pypi source needs member and one sha256 a wheel")
    if len(sources) > 1 and not pinned:
        raise fail(f"{key}.source", list(sources), "only pypi sources may come in several parts")
    if kind == "data":
        checks.choice(f"{key}.reader", section.get("reader"), READERS)
    elif odd := sorted({"reader", "fields", "split"} & set(section)):
        raise fail(f"{key}.{odd[0]}", section[odd[0]], "only an asset of kind data may have it")
    fields = checks.mapping(f"{key}.fields", section.get("fields", {}), empty_ok=True)
    return Asset(
        name=name,
        kind=kind,
        sources=sources,
        sha256=hashes,
        members=_texts(f"{key}.member", section.get("member", [])),
        joined_sha256=str(section.get("joined_sha256", "")),
        reader=str(section.get("reader", "")),
        fields={k: checks.text(f"{key}.fields.{k}", v) for k, v in fields.items()},
        split=checks.text(f"{key}.split", section.get("split", "test")),
    )


def _texts(key: str, value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(checks.text(key, item) for item in items)


def _check_source(key: str, source: str) -> None:
    scheme, _, rest = source.partition(":")
    good = {"pypi": "==" in rest, "hf": "@" in rest.strip("@"), "file": bool(rest)}.get(scheme, False)
    if not good:
        raise fail(key, source, "must be pypi:name==version, hf:repo@revision or file:path")
