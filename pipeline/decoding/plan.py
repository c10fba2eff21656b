"""What a task's generation consists of: prompts, jobs, keys. Nothing here runs a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.decoding.examples import Example, check_context, padded_length, shared_prefix
from pipeline.decoding.network import Shape
from pipeline.decoding.store import content_key
from pipeline.files import sha256_json
from pipeline.routing.cells import Cell, Decoder
from pipeline.routing.noise import step_noise
from pipeline.routing.vocabulary import Vocabulary
from pipeline.settings import Settings, Task

# Raise it when a change of code changes tokens, routes or log-probabilities: stored rows then miss.
CODE_VERSION = 2


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
    prompt_length: int  # what follows the prefix is padded to it
    vocabulary: Vocabulary
    examples: tuple[Example, ...]
    job_of_cell: dict[str, Job]
    shared_key: dict[str, Any]  # what all texts of the task depend on

    def jobs(self) -> list[Job]:
        """Distinct jobs, in the order of the cells."""
        return list(dict.fromkeys(self.job_of_cell.values()))

    def texts_of(self, job: Job) -> list[Text]:
        return [
            Text(example, sample, job, self._key(example, sample, job))
            for example in self.examples
            for sample in range(self.task.samples)
        ]

    def _key(self, example: Example, sample: int, job: Job) -> bytes:
        own = {
            "example": example.id,
            "prompt": example.prompt,
            "sample": sample,
            "decoder": job.decoder.describe(),
            "tag": job.tag,
        }
        return content_key([self.shared_key, own])

    def cell_key(self, cell: Cell) -> str:
        texts = self.texts_of(self.job_of_cell[cell.name])
        return sha256_json([text.key.hex() for text in texts])

    def noise(self, text: Text) -> np.ndarray:
        """(5, steps) float64, shared by all jobs of one example and sample under common coupling."""
        return step_noise(
            self.seed,
            self.task.name,
            text.example.id,
            text.sample,
            self.task.max_new_tokens,
            text.job.tag,
        )


def make_plan(
    settings: Settings,
    task: Task,
    cells: list[Cell],
    examples: list[Example],
    vocabulary: Vocabulary,
    shape: Shape,
    asset: dict[str, Any],
) -> Plan:
    """Raises `PipelineError` when a prompt and its text do not fit into the model's context."""
    check_context(f"data/prepared/{task.name}.jsonl", examples, task, shape)
    prefix = shared_prefix(examples, task, shape)
    prompt_length = padded_length(max(len(example.prompt) for example in examples) - len(prefix))
    independent = settings.coupling == "independent"
    return Plan(
        task=task,
        seed=settings.seed,
        prefix=prefix,
        prompt_length=prompt_length,
        vocabulary=vocabulary,
        examples=tuple(examples),
        job_of_cell={c.name: Job(c.decoder, c.name if independent else "") for c in cells},
        shared_key={
            "code": CODE_VERSION,
            "task": task.name,
            "model": asset["files"],
            "dtype": settings.dtype,
            "device": settings.device,
            "seed": settings.seed,
            "steps": task.max_new_tokens,
            "prefix_length": len(prefix),
            "prompt_length": prompt_length,
            "decoder_start": shape.decoder_start,
            "sampling_vocabulary": sha256_json(vocabulary.allowed.tolist()),
            "stop": sorted(vocabulary.stop),
        },
    )
