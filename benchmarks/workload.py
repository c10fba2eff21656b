"""What is decoded: a grid of the benchmarks' own, so that speeds compare over the years, on real prompts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.prepare import prepare
from random_routing.law.cells import Cell, all_cells
from random_routing.models.folder import load_tokenizer, read_shape
from random_routing.runs.machine import ON_CPU
from random_routing.runs.make_plan import Prepared
from random_routing.runs.plan import Plan, Text
from random_routing.settings import Base, Settings, load_settings
from random_routing.tasks.example_ids import Generator

ASSETS = Path("data/assets")
MOST_EXAMPLES = 128
RATES = (0.0, 0.01, 0.03, 0.1, 0.3)  # q and λ of three variants: 75 cells, and 14 baselines
VARIANTS = ("uniform", "epsilon-greedy", "plausible")
BASELINES = {
    "greedy": (Base(greedy=True),),
    "temperature": tuple(Base(temperature=t) for t in (0.5, 0.7, 0.85, 1.0, 1.15, 1.3)),
    "top_k": tuple(Base(top_k=k) for k in (10, 50)),
    "top_p": tuple(Base(top_p=p) for p in (0.8, 0.9, 0.95)),
    "min_p": tuple(Base(min_p=p) for p in (0.05, 0.1)),
}


def fixed_grid(settings: Settings) -> Settings:
    """The settings with the grid of the benchmarks in place of their own."""
    variants = {name: replace(settings.variants[name], q=(), lambdas=()) for name in VARIANTS}
    return replace(settings, q=RATES, lambdas=RATES, variants=variants, baselines=BASELINES)


def settings_on_cpu() -> Settings:
    """Those of `params.yaml` with the grid of the benchmarks, and with what a CPU gets where they leave it open."""
    settings = fixed_grid(load_settings())
    batch_size, max_rows = settings.batch_size or ON_CPU[0], settings.max_rows or ON_CPU[1]
    return replace(settings, device="cpu", batch_size=batch_size, max_rows=max_rows)


@dataclass(frozen=True)
class Workload:
    """The texts of some cells on some examples. `weight`: how many cells each job's texts stand for."""

    folder: Path
    plan: Plan
    texts: list[Text]
    weight: dict[Text, int]
    cells: int


@cache
def prepared(task_name: str, examples: int = MOST_EXAMPLES) -> tuple[Any, list[dict[str, Any]]]:
    """The tokenizer and prepared rows; by default as many as any part of the benchmark uses."""
    settings = load_settings()
    task = replace(settings.tasks[task_name], examples=examples)
    folder = ASSETS / task.model
    tokenizer = load_tokenizer(folder)
    generator = Generator(task.model, tokenizer, read_shape(folder).is_encoder_decoder)
    return tokenizer, prepare(task, settings.assets[task.data], generator, ASSETS / task.data)


def workload(
    settings: Settings, task_name: str, cells: list[Cell], examples: int, **changes: int
) -> Workload:
    """`examples` real prompts of a task under `cells`; changes: of the task, such as samples=4."""
    task = replace(settings.tasks[task_name], examples=examples, **changes)  # type: ignore[arg-type]
    folder = ASSETS / task.model
    tokenizer, rows = prepared(task_name, max(MOST_EXAMPLES, examples))
    plan = Prepared(settings, task, rows[:examples], folder, tokenizer).plan(cells)
    texts = [text for job in plan.jobs() for text in plan.texts_of(job) if not job.decoder.beams]
    jobs = [plan.job_of(cell) for cell in plan.cells]
    weight = {text: jobs.count(text.job) for text in texts}
    return Workload(folder, plan, texts, weight, len(cells))


def routing_only(settings: Settings, task_name: str) -> list[Cell]:
    return [c for c in all_cells(settings, settings.tasks[task_name]) if c.family == "routing"]


def without_beam(settings: Settings, task_name: str) -> list[Cell]:
    return [c for c in all_cells(settings, settings.tasks[task_name]) if c.family != "beam"]
