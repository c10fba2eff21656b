"""What a task's generation consists of: prompts, jobs, keys. Nothing here runs a model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from random_routing.errors import PipelineError
from random_routing.files import ENDPOINT, sha256_json
from random_routing.law.cells import Cell, Decoder
from random_routing.law.noise import Source
from random_routing.law.vocabulary import Vocabulary
from random_routing.models.numerics import arithmetic
from random_routing.models.random_paths import check_parts
from random_routing.models.shape import Shape
from random_routing.runs.store import content_key
from random_routing.runs.tokenized import Example, check_context, padded_length, shared_prefix
from random_routing.settings import Route, Settings, Task

# Raise it when a change of code changes tokens, routes or log-probabilities: stored rows then miss.
CODE_VERSION = 6


@dataclass(frozen=True)
class Job:
    """A decoder to run. `tag`: the cell's name where coupling is independent, else empty."""

    decoder: Decoder
    tag: str


@dataclass(frozen=True)
class Text:
    """One text to be made."""

    example: Example
    sample: int
    job: Job
    key: bytes


@dataclass(frozen=True)
class Plan:
    task: Task
    seed: int
    prefix: tuple[int, ...]  # token ids that all prompts begin with
    vocabulary: Vocabulary
    examples: tuple[Example, ...]
    cells: tuple[Cell, ...]
    independent: bool  # coupling: every cell has noise of its own
    shared_key: dict[str, Any]  # what all texts of the task depend on
    tables: dict[Route, np.ndarray] = field(default_factory=dict)  # δ of `unigram` routes, (V,)
    window: int = 0  # of the model's sliding attention; 0: none

    @property
    def served(self) -> bool:
        """Does a server run the model?"""
        return ENDPOINT in self.shared_key.get("model", {})

    def job_of(self, cell: Cell) -> Job:
        return Job(cell.decoder, cell.name if self.independent else "")

    def jobs(self) -> list[Job]:
        """Distinct jobs, in the order of the cells."""
        return list(dict.fromkeys(self.job_of(cell) for cell in self.cells))

    def texts_of(self, job: Job) -> list[Text]:
        return self.texts(job, self.examples, self.task.samples)

    def texts(self, job: Job, examples: Sequence[Example], samples: int) -> list[Text]:
        law = content_key([self._shared_digest, job.decoder.describe(), job.tag])
        return [
            Text(example, sample, job, _key(law, self._prompt_digests[example], sample))
            for example in examples
            for sample in range(samples)
        ]

    @cached_property
    def _shared_digest(self) -> str:
        return sha256_json(self.shared_key)

    @cached_property
    def _prompt_digests(self) -> dict[Example, bytes]:
        return {
            example: content_key(
                [example.id, example.prompt, self.room(example), len(self.prefix_of(example))]
            )
            for example in self.examples
        }

    def room(self, example: Example) -> int:
        """Positions that its prompt takes, the shared prefix among them."""
        return padded_length(len(example.prompt))

    def prefix_of(self, example: Example) -> tuple[int, ...]:
        """Nothing where a sliding window would count the padding that follows the prefix."""
        fits = self.window >= self.room(example) + self.task.max_new_tokens + 16
        return self.prefix if fits or not self.window else ()

    def before(self, example: Example) -> tuple[int, ...]:
        """Token ids that a text follows: its prompt's, none where an encoder reads the prompt."""
        return () if self.shared_key["decoder_start"] else example.prompt

    def cell_key(self, cell: Cell) -> str:
        texts = self.texts_of(self.job_of(cell))
        return sha256_json([text.key.hex() for text in texts])

    def source(self, example: str, sample: int, tag: str) -> Source:
        """Whose noise a text has: that of all jobs of one example and sample under common coupling."""
        return Source(self.seed, self.task.kind, example, sample, tag)


def _key(law: bytes, prompt: bytes, sample: int) -> bytes:
    return hashlib.sha256(law + prompt + sample.to_bytes(8, "little")).digest()


def make_plan(
    settings: Settings,
    task: Task,
    cells: list[Cell],
    examples: list[Example],
    vocabulary: Vocabulary,
    shape: Shape,
    asset: dict[str, Any],
    tables: dict[Route, np.ndarray] | None = None,
) -> Plan:
    """Raises `PipelineError` when a prompt and its text do not fit into the model's context, or the model
    lacks what a route needs.
    """
    for cell in cells:
        check_law(cell, task.model, shape, vocabulary)
    check_context(f"data/prepared/{task.name}.jsonl", examples, task, shape)
    return Plan(
        task=task,
        seed=task.seed,
        prefix=shared_prefix(examples, shape),
        vocabulary=vocabulary,
        examples=tuple(examples),
        cells=tuple(cells),
        independent=settings.coupling == "independent",
        shared_key={
            "code": CODE_VERSION,
            "task": task.kind,
            "model": asset["files"],
            "seed": task.seed,
            "steps": task.max_new_tokens,
            **arithmetic(settings.dtype, settings.device),
            "decoder_start": shape.decoder_start,
            "sampling_vocabulary": sha256_json(vocabulary.allowed.tolist()),
            "stop": sorted(vocabulary.stop),
        },
        tables=tables or {},
        window=shape.window,
    )


def check_law(cell: Cell, model: str, shape: Shape, vocabulary: Vocabulary) -> None:
    """Raises `PipelineError` for a route that the model has no parts for, or a k beyond its vocabulary."""
    for route in cell.decoder.routes.values():
        if shape.served and route.structural:
            raise PipelineError(
                f"cell {cell.name}: model {model}: route {route.kind}: a server runs the model"
            )
        check_parts(f"cell {cell.name}: model {model}", route, shape.heads, shape.layers, shape.experts)
        if route.kind == "top_k" and route.k > len(vocabulary.allowed):
            raise PipelineError(
                f"params.yaml: variants.{cell.variant}: top_k = {route.k}: must be at most "
                f"{len(vocabulary.allowed)}, the sampling vocabulary of {model}"
            )
