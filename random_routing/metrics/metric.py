"""What a metric is: sufficient statistics per text, and one pure function of their sum."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from random_routing.environments.episode_tokens import actions_of
from random_routing.environments.episodes import Episodes, replay
from random_routing.environments.tabular import Environment
from random_routing.metrics.helpers.form import Form, forms
from random_routing.metrics.helpers.languages import UNKNOWN, Language
from random_routing.metrics.helpers.ragged import Ragged
from random_routing.metrics.helpers.words import word_ids
from random_routing.resampling.intervals import Sampled
from random_routing.settings.tasks import TEXT_KINDS


@dataclass(frozen=True)
class CellTexts:
    """What the metrics of one cell need, a row per text: R rows, of which an example may have several.

    Rows of numbers are `Ragged` where they come from a file: a cell may have a million.
    """

    texts: list[str]
    token_ids: Sequence[Any]  # (R,) rows: the generator's tokens
    model_logprobs: Sequence[np.ndarray]  # the generator's log-probabilities, nats; empty for human texts
    example: np.ndarray  # (R,) row → example
    examples: int
    references: list[list[str]]  # a row's human references
    judge_nll: np.ndarray  # (R,) nats, summed over the text
    judge_tokens: np.ndarray  # (R,) tokens of the judge
    text_embeddings: np.ndarray  # (R, D) unit vectors
    source_embeddings: np.ndarray  # (R, D)
    reference_embeddings: np.ndarray  # (R, D), of the first reference
    # Which tokens were random; none: human texts.
    routes: Sequence[np.ndarray] = field(default_factory=list)
    judge_logprobs: Sequence[np.ndarray] = field(default_factory=list)  # of the judge's tokens, nats
    human_nll: np.ndarray = field(default_factory=lambda: np.empty(0))  # (R,) of the example's human text
    human_tokens: np.ndarray = field(default_factory=lambda: np.empty(0))  # (R,)
    vocabulary: int = 0  # size of the generator's
    order: np.ndarray = field(default_factory=lambda: np.empty(0))  # (R,) noise: whom a subsample takes
    ended: np.ndarray = field(default_factory=lambda: np.empty(0))  # (R,) does the last token only end it?
    # (R,) bytes before what is judged
    judge_unread: np.ndarray = field(default_factory=lambda: np.empty(0))
    sources: Sequence[str] = ()  # (R,) what a text answers, goes on from or translates
    entropies: Sequence[np.ndarray] = ()  # of the generator's steps, nats; none: human texts
    language: Language = UNKNOWN  # of the texts
    meta: Sequence[dict[str, Any]] = ()  # (R,) what else the prepared example says
    world: Environment | None = None  # that texts are episodes in
    # Of images, by a classifier of their own: (R, D) what its last hidden layer says, of each example's real images,
    # (E,) of (K, D), too; and (R,) the class that it takes a text for.
    features: np.ndarray = field(default_factory=lambda: np.empty(0))
    real_features: Sequence[np.ndarray] = ()
    predicted: np.ndarray = field(default_factory=lambda: np.empty(0))
    choices: tuple[str, ...] = ()  # (K,) a task's labels, where a metric reads their probabilities
    # (R, K) P(label | example); empty: unknown.
    choice_probs: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def written_ids(self) -> Sequence[Any]:
        """The tokens without one that only ends the text: human texts have none either."""
        if not len(self.ended):
            return self.token_ids
        if isinstance(self.token_ids, Ragged):
            return self.token_ids.shortened(self.ended & (self.token_ids.lengths > 0))
        return [ids[:-1] if over else ids for ids, over in zip(self.token_ids, self.ended, strict=True)]

    @cached_property
    def word_ids(self) -> Ragged:
        """The words of the texts as numbers."""
        return word_ids(self.texts)

    @cached_property
    def episodes(self) -> Episodes:
        """What the actions did, of texts that are episodes."""
        assert self.world is not None
        seeds = np.array([meta["seed"] for meta in self.meta], dtype=np.int64)
        return replay(self.world, seeds, [actions_of(ids) for ids in self.written_ids])

    @cached_property
    def first_rows(self) -> np.ndarray:
        """(E,) the first row of each example that has one."""
        return np.unique(self.example, return_index=True)[1]

    @cached_property
    def forms(self) -> tuple[Form, Form]:
        """Of the texts, and of the first human text of each example, in the order of `first_rows`."""
        return forms(self.texts, self.example, self.references, self.sources)


Better = Literal["higher", "lower", "nearer to human", ""]  # "": no value is better than another


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric, whole: what it is called, what it is good for, and how it is computed.

    stats(texts): (R, k) float64 sufficient statistics; aggregate: sums (..., k) → values (...).
    An undefined value is NaN, never 0. Because a value depends on the sums alone, a bootstrap over
    examples is a re-sum. A metric that is itself random (MAUVE's clusters) aggregates to (..., S), a value
    per seed; see `random_routing.resampling.intervals.resampled`.
    """

    name: str  # in params.yaml and in all tables
    label: str  # what it is
    axis: str  # the same in a few words with its unit, as figures name it
    unit: str
    role: str  # what it tells of: diversity, sameness, repetition, fluency, relevance, quality, length, failures
    # Which one of the comparison it can be; "": neither.
    coordinate: Literal["diversity", "quality", ""] = ""
    kinds: tuple[str, ...] = TEXT_KINDS  # of tasks that can have it
    better: Better
    source: str  # who defined it
    signature: str  # all that fixes the number; {judge}, {given}, {model}, … are filled in
    stats: Callable[[CellTexts], np.ndarray]
    aggregate: Callable[[np.ndarray], np.ndarray]
    signed: Callable[[np.ndarray], np.ndarray] | None = None  # where aggregate is the absolute value of it
    minimum_examples: int = 1  # with fewer, the metric is missing
    minimum_samples: int = 1  # texts per example
    undefined: str = "undefined for these texts"  # why a value can be NaN
    over_all: bool = False  # depends on the number of texts, so that only equal numbers can be compared
    against_human: bool = False  # measures nearness to the human text, whose own value says nothing
    people: float = math.nan  # then, what texts have that are like the human ones; NaN: not known
    log_axis: bool = False  # figures show it on a logarithmic axis
    short: str = ""  # where a table has little room; empty: its name

    @property
    def needs(self) -> str:
        """What it takes, in words; empty where one text will do."""
        minimums = ((self.minimum_examples, "examples"), (self.minimum_samples, "texts an example"))
        return ", ".join(f"{least} {what}" for least, what in minimums if least > 1)

    @property
    def of_one_text(self) -> bool:
        """Whether a text by itself has a value, the same whichever decoder wrote it."""
        return not self.needs and not self.over_all and not self.reads("choices")

    def missing(self, examples: int, samples: int) -> str | None:
        """Why the metric is missing for so few texts; None: there are enough."""
        if examples < self.minimum_examples:
            return f"needs {self.minimum_examples} examples; there are {examples}"
        if samples < self.minimum_samples:
            return f"needs {self.minimum_samples} texts an example; there is {samples}"
        return None

    def reads(self, model: Literal["judge", "embedder", "choices"]) -> bool:
        """Whether it needs what the judge or the embedder says of the texts, or the probabilities of a task's labels:
        its signature names them.
        """
        return f"{{{model}}}" in self.signature

    def up(self, value: Sampled) -> Sampled:
        """A value of this metric turned so that more is better, or more diverse where neither is."""
        return -value if self.better == "lower" else value


def first_with_enough(metrics: Sequence[Metric], examples: int, samples: int) -> Metric | None:
    """The first metric that so many texts are enough for."""
    return next((metric for metric in metrics if metric.missing(examples, samples) is None), None)


def quality_of(metrics: Sequence[Metric], examples: int, samples: int) -> Metric:
    """What a task is judged by: the first metric that so many texts are enough for, or else the first of all."""
    return first_with_enough(metrics, examples, samples) or metrics[0]


def lack(metrics: Sequence[Metric], examples: int, samples: int) -> str:
    """Why so few texts are not enough for all of the metrics; empty where they are."""
    reasons = {metric.name: metric.missing(examples, samples) for metric in metrics}
    return "; ".join(f"{name} {why}" for name, why in reasons.items() if why)


def ratio(sums: np.ndarray) -> np.ndarray:
    """(..., 2) → numerator / denominator; NaN where the denominator is not above 0."""
    numerator, denominator = sums[..., 0], sums[..., 1]
    defined = denominator > 0
    return np.where(defined, numerator / np.where(defined, denominator, 1), np.nan)


def columns(*values: object) -> np.ndarray:
    """Statistics side by side: (R, k) float64."""
    return np.stack([np.asarray(value, dtype=np.float64) for value in values], axis=1)
