"""What `params.yaml` says, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field


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
    source_code: str = ""  # what a multilingual translation model calls them, such as deu_Latn
    target_code: str = ""


@dataclass(frozen=True)
class Settings:
    seed: int
    dtype: str
    device: str  # cpu | cuda
    workers: int  # processes that generate
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
