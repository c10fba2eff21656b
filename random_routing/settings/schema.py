"""What `params.yaml` says, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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
    """A random route: where δ comes from. `random_routing.law.routes` and `.paths` say what each kind is."""

    kind: str  # uniform | top_k | unigram | frozen | heads | layers | experts
    k: int = 0  # top_k
    concentration: float = 0.0  # frozen
    drop: float = 0.0  # heads, layers: the probability d that one is left out
    file: str = ""  # unigram: a text file; empty: the task's prepared references
    digest: str = ""  # unigram: of the frequencies, once they are known

    @property
    def structural(self) -> bool:
        """Does δ come from the model itself, run along a random path?"""
        return self.kind in ("heads", "layers", "experts")


@dataclass(frozen=True)
class Gate:
    """When a route is taken. `random_routing.law.gates` says what each kind is."""

    kind: str = "token"  # token | span | sequence | entropy
    mean: float = 1.0  # span: mean length in tokens
    scale: float = 0.0  # entropy: gate probability over normalised entropy, once it is calibrated


@dataclass(frozen=True)
class Schedule:
    """A factor over the steps that multiplies a route's rate, from `start` to `end` in `length` steps."""

    kind: str = "constant"  # constant | linear | cosine | exponential
    start: float = 1.0
    end: float = 1.0
    length: int = 0  # 0: the whole text


def exploration_weight(lam: float, lambda_means: str) -> float:
    """Weight of δ_λ. The formula of the source gives λ to exploration, its prose 1 − λ."""
    return lam if lambda_means == "explore" else round(1 - lam, 12)


BY_R = (
    "random, by r"  # a token of a random route where only r counts, so that it belongs to neither q nor λ
)


@dataclass(frozen=True)
class Variant:
    base: Base
    q_route: Route
    lambda_route: Route
    q_gate: Gate = Gate()
    lambda_gate: Gate = Gate()
    q_schedule: Schedule = Schedule()
    lambda_schedule: Schedule = Schedule()
    mix: str = "after"  # after | before: mixing comes after or before the base's truncation
    q: tuple[float, ...] = ()  # its own grid; empty: the grid of all
    lambdas: tuple[float, ...] = ()

    @property
    def collapses(self) -> bool:
        """Do q and λ count only through r = 1 − (1−q)(1−λ)?

        They do where both routes draw from the same δ and are taken independently, at every step or for
        a whole text, with the same probability throughout. One gate decides then, so that both share a
        random path, also where they are mixed before the base.
        """
        return (
            self.q_route == self.lambda_route
            and self.q_gate == self.lambda_gate
            and self.q_gate.kind in ("token", "sequence")
            and self.q_schedule == self.lambda_schedule == Schedule()
        )

    @property
    def routes(self) -> tuple[str, ...]:
        """What the numbers 0, 1 and 2 of a text's `routes` mean."""
        return ("model", BY_R) if self.collapses else ("model", "q-route", "λ-route")


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
    config: str = ""  # which configuration of a hub data set, such as wikitext-103-raw-v1
    split: str = "test"  # and which split
    encoding: str = "utf-8"  # of local files of text
    licence: str = ""


CHAT_DATE = "2026-01-01"


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
    chat_date: str = CHAT_DATE  # dialogue: what the chat template takes for today
    chat_template_kwargs: dict[str, Any] = field(default_factory=lambda: {"enable_thinking": False})
    shots: int = 0  # translation
    source_language: str = ""
    target_language: str = ""
    source_code: str = ""  # what a multilingual translation model calls them, such as deu_Latn
    target_code: str = ""
    bleu_tokenizer: str = ""  # sacrebleu's; empty: that of the target language


@dataclass(frozen=True)
class Comparison:
    """What decoders are compared by. quality: task → metrics, of which the first with enough texts is used."""

    diversity: str
    quality: dict[str, tuple[str, ...]]
    correction: str  # holm | fdr_bh


@dataclass(frozen=True)
class Tuning:
    """A search for the best setting of each family of decoders."""

    enabled: bool
    share: float  # of a task's examples to tune on; the others are the test split
    trials: int  # of each family
    batch: int  # trials at once, in one forest
    rungs: int  # 1: every trial sees all examples; n: the worse half of a batch stops after 1/2ⁿ⁻¹, …, 1/2 of them
    patience: int  # batches without a better trial before a family stops; 0: never
    minutes: float  # of a task, before no new batch is begun
    sampler: str  # tpe | random | nsga2
    objective: str  # reward | front
    target: (
        float | str
    )  # diversity that is wanted: a number, or that of the human texts or of plain sampling
    weight: dict[str, float]  # task → quality that a lack of 1 in diversity costs
    variants: tuple[str, ...]
    floor: float  # the smallest rate above 0
    schedules: tuple[str, ...]
    rivals: tuple[str, ...]


@dataclass(frozen=True)
class Cluster:
    """Where `executor: ray` runs. One worker is one actor that holds a model."""

    address: str  # empty: Ray is started on this machine | auto | host:port
    workers: int
    cpus_per_worker: int
    gpus_per_worker: float  # a fraction shares a GPU


@dataclass(frozen=True)
class Settings:
    seed: int
    dtype: str
    device: str  # cpu | cuda
    executor: str  # local | ray
    workers: int  # processes that generate, of the local executor
    ray: Cluster
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
    comparison: Comparison
    resamples: int
    confidence: float
    page_examples: int  # whose texts the page holds
    tensorboard: bool
    tune: Tuning
    assets: dict[str, Asset]
