"""The sections of `params.yaml`: its keys, what each may be, and what it is if it may be left out.

Variants and baselines, tasks, and assets have files of their own beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo, WrapValidator, field_validator, model_validator

from random_routing.settings.assets import Asset
from random_routing.settings.checks import (
    Flag,
    Name,
    OneOrMore,
    Reference,
    Text,
    Values,
    ValuesOrNone,
    apart,
    number,
    one_of,
    one_text,
    whole,
)
from random_routing.settings.contrasts import Contrast
from random_routing.settings.decoders import Base, Families, Rates, Variant, VariantName
from random_routing.settings.keys import STRICT, OrNone, at, check_below, wrong
from random_routing.settings.learning import Explorer, Learning
from random_routing.settings.tasks import KINDS, Task, Tasks
from random_routing.settings.trained import Trained

KNOWN_AS = {
    "gpu": "cuda", "nvidia": "cuda", "bf16": "bfloat16", "fp32": "float32", "f32": "float32", "float": "float32",
}  # fmt: skip
TARGETS = ("human", "sampling")
FORMATS = ("pdf", "svg", "png")  # of figures
HELD = "they are held in memory"
# Samplers of Optuna, and what each can search for.
SAMPLERS = {"tpe": ("reward", "front"), "random": ("reward", "front"), "nsga2": ("front",)}
T = TypeVar("T")
# Task or kind of task → a value; for the tasks alone once the whole file is read (parse.py).
ByTask = Annotated[dict[str, T], Field(min_length=1)]
# Empty until it is known which there are.
All = WrapValidator(lambda value, check: () if value == "all" else check(value))


def _address(value: str) -> str:
    if value == "local":
        return ""
    host, colon, port = value.rpartition(":")
    if value != "auto" and not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise wrong("must be local (Ray is started on this machine), auto, or host:port")
    return value


def _of_all(value: Any, check: Callable[[Any], dict[str, str]]) -> dict[str, str]:
    """A text stands for all kinds of tasks."""
    return check(value if isinstance(value, dict) else dict.fromkeys(KINDS, one_text(value)))


def _gpus(value: float) -> float:
    if value > 1 and value != int(value):
        raise wrong("above 1 it must be a whole number")
    return value


@dataclass(frozen=True)
class Cluster:
    """Section `ray`: where `executor: ray` runs. One worker is one actor that holds a model."""

    __pydantic_config__ = STRICT
    address: Annotated[Text, AfterValidator(_address)]  # local (here: empty) | auto | host:port
    workers: Annotated[int, whole(1, 10_000)]
    cpus_per_worker: Annotated[int, whole(1, 1024)]
    gpus_per_worker: Annotated[float, number(0, 64), AfterValidator(_gpus)]  # a fraction shares a GPU


@dataclass(frozen=True)
class Comparison:
    """What decoders are compared by. diversity: task → metric; in the file a metric alone is that of all tasks.

    quality: task → metrics, of which the first with enough texts is used.

    delta: task → the difference of quality below which it does not matter.
    """

    __pydantic_config__ = STRICT
    diversity: Annotated[ByTask[Text], WrapValidator(_of_all)]
    quality: ByTask[Annotated[Values[Text], OneOrMore]]
    delta: ByTask[Annotated[float, number(0, 1e9, open_low=True)]]
    correction: Annotated[str, one_of("holm", "fdr_bh")]
    contrasts: Annotated[dict[Name, Contrast], OrNone] = field(default_factory=dict)
    # Metric of failures → by how much their share may grow before a hypothesis is called better or equivalent.
    vetoes: Annotated[dict[str, Annotated[float, number(0, 1)]], OrNone] = field(default_factory=dict)

    def replicates(self, tasks: Mapping[str, Task]) -> list[list[Task]]:
        """Tasks that differ in the seed alone, also in what is asked of them, where there are several seeds."""
        groups: dict[str, dict[int, Task]] = {}
        for name, task in tasks.items():
            asked = [
                key
                for key, contrast in self.contrasts.items()
                if not contrast.tasks or name in contrast.tasks
            ]
            about = (self.diversity[name], self.quality[name], self.delta[name], asked)
            alike = repr((replace(task, name="", seed=0), about))
            groups.setdefault(alike, {}).setdefault(task.seed, task)
        return [list(group.values()) for group in groups.values() if len(group) > 1]

    def hypotheses(self, tasks: Mapping[str, Task]) -> int:
        """How many are tested over all tasks, and over those that differ in the seed alone together."""
        tested = [*tasks, *(group[0].name for group in self.replicates(tasks))]
        return sum(
            not contrast.tasks or task in contrast.tasks
            for contrast in self.contrasts.values()
            for task in tested
        )


def _target(value: Any, check: Callable[[Any], float]) -> float | str:
    if isinstance(value, str) and value not in TARGETS:
        raise wrong(one_of(*TARGETS).allowed(value))
    return value if isinstance(value, str) else check(value)


@dataclass(frozen=True)
class Tuning:
    """Section `tune`: a search for the best setting of each family of decoders, in place of the whole grid."""

    __pydantic_config__ = STRICT
    enabled: Flag
    # Of a task's examples to tune on; the others are the test split.
    share: Annotated[float, number(0.1, 0.9)]
    # Of each family.
    trials: Annotated[int, whole(2, 100_000, "the search looks at all of them before each batch")]
    batch: Annotated[int, whole(1)]  # trials at once, in one forest
    # 1: every trial sees all examples; n: the worse half of a batch stops after 1/2ⁿ⁻¹, …, 1/2 of them.
    rungs: Annotated[int, whole(1, 6)]
    patience: Annotated[int, whole(0)]  # batches without a better trial before a family stops; 0: never
    minutes: Annotated[float, number(0, 100_000)]  # of a task, before no new batch is begun
    sampler: Annotated[str, one_of(*SAMPLERS)]
    objective: Annotated[str, one_of("reward", "front")]
    # Diversity that is wanted: a number, or that of the human texts or of plain sampling.
    target: Annotated[float | str, number(-1e9, 1e9), WrapValidator(_target)]
    # Task → quality that a lack of 1 in diversity costs.
    weight: ByTask[Annotated[float, number(0, 1e9)]]
    variants: Annotated[Values[Reference], All]
    floor: Annotated[float, number(1e-6, 0.5)]  # the smallest rate above 0
    schedules: Values[Annotated[str, one_of("constant", "explore_first")]]
    rivals: ValuesOrNone[Annotated[str, one_of("temperature", "top_p")]]

    @field_validator("batch")
    @classmethod
    def _batch(cls, value: int, info: ValidationInfo) -> int:
        if value > (trials := info.data.get("trials", value)):
            raise wrong(whole(1, trials).allowed(value))
        return value

    @field_validator("objective")
    @classmethod
    def _objective(cls, value: str, info: ValidationInfo) -> str:
        sampler = info.data.get("sampler")
        if sampler and value not in SAMPLERS[sampler]:
            raise wrong(f"sampler {sampler} needs {' or '.join(SAMPLERS[sampler])}")
        return value


def _named(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {name: replace(entry, name=name) for name, entry in entries.items()}


@dataclass(frozen=True)
class Settings:
    """The whole file. A field that stands deeper in it says where: `at("grid.q")`."""

    __pydantic_config__ = STRICT
    seed: Annotated[int, whole(0)]
    dtype: Annotated[str, one_of("float32", "bfloat16", known_as=KNOWN_AS)]
    device: Annotated[str, one_of("auto", "cpu", "cuda", known_as=KNOWN_AS)]
    executor: Annotated[str, one_of("local", "ray")]
    ray: Cluster
    q: Annotated[Rates, at("grid.q")]
    lambdas: Annotated[Rates, at("grid.lambda")]
    lambda_means: Annotated[str, one_of("explore", "exploit")]
    coupling: Annotated[str, one_of("common", "independent")]
    variants: Annotated[dict[VariantName, Variant], Field(min_length=1), apart("variants")]
    include_eos: Flag
    baselines: Annotated[dict[str, tuple[Base, ...]], Families, OrNone]
    tasks: Tasks
    embedder: Reference
    metrics: Values[Text]
    comparison: Comparison
    resamples: Annotated[int, whole(100, 1_000_000), at("bootstrap.resamples")]
    confidence: Annotated[float, number(0.5, 0.999), at("bootstrap.confidence")]
    page_examples: Annotated[int, whole(1, 100_000, "the page holds their texts"), at("report.examples")]
    tensorboard: Flag
    tune: Tuning
    assets: Annotated[dict[Name, Asset], Field(min_length=1), apart("assets"), AfterValidator(_named)]
    # Models that are trained here, and assets as the others are.
    trained: Annotated[dict[Name, Trained], OrNone, apart("trained"), AfterValidator(_named)] = field(
        default_factory=dict
    )
    # Agents that learn while they explore, and how they do; no task of the others.
    explorers: Annotated[dict[VariantName, Explorer], OrNone, apart("explorers")] = field(
        default_factory=dict
    )
    learning: Annotated[dict[Name, Learning], OrNone, apart("learning"), AfterValidator(_named)] = field(
        default_factory=dict
    )
    workers: Annotated[int, whole(1, 256)] = (
        0  # processes of the local executor; left out: found on the machine
    )
    batch_size: Annotated[int, whole(1, 1_000_000, HELD)] = 0  # these too
    max_rows: Annotated[int, whole(2, 1_000_000, HELD)] = 0
    formats: Annotated[ValuesOrNone[Annotated[str, one_of(*FORMATS)]], at("report.formats")] = FORMATS

    @property
    def all_assets(self) -> dict[str, Asset | Trained]:
        """What is in `data/assets`: fetched, or trained here."""
        return {**self.assets, **self.trained}

    def variants_of(self, task: Task) -> dict[str, Variant]:
        """Those that a task has."""
        return {
            name: variant
            for name, variant in self.variants.items()
            if not variant.tasks or {task.name, task.kind} & set(variant.tasks)
        }

    @model_validator(mode="before")
    @classmethod
    def _below(cls, value: Any) -> Any:
        return check_below(cls, value)
