"""What tune finds of a task, `data/tune/<task>.json`; null where tuning is switched off or left out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from random_routing.files import sealed, write_json
from random_routing.results.json_form import read_record, to_json


@dataclass(frozen=True)
class Score:
    """Quality and diversity, turned so that more is better, and the reward with its interval."""

    quality: float
    diversity: float
    reward: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Trial:
    """weight: of the λ-route, whatever `lambda_means` says. q, weight, r, setting: NaN where they have no meaning."""

    number: int
    state: str  # complete | pruned
    params: dict[str, Any]  # what Optuna suggested
    batch: int
    variant: str
    q: float
    weight: float
    r: float
    setting: float
    examples: int
    quality: float
    diversity: float
    reward: float


@dataclass(frozen=True)
class Winner:
    """The best setting of a family, on the examples that chose it and on the others."""

    variant: str
    q: float
    weight: float
    r: float
    setting: float
    decoder: dict[str, Any]  # `Decoder.describe`
    tune: Score
    test: Score


@dataclass(frozen=True)
class Family:
    ended: str  # why
    trials: list[Trial]
    importance: dict[str, float]  # parameter → share of the reward's variance
    winner: Winner


@dataclass(frozen=True)
class RewardDifference:
    """Of a family's winner minus that of a rival, on the examples that the search never saw."""

    family: str
    rival: str
    difference: float
    lo: float
    hi: float
    p: float


@dataclass(frozen=True, kw_only=True)
class GridCell(Score):
    """weight: as of a trial."""

    cell: str
    family: str
    variant: str
    q: float
    weight: float
    r: float
    setting: float


@dataclass(frozen=True)
class Grid:
    texts: int
    cells: list[GridCell]

    @property
    def rewarded(self) -> list[GridCell]:
        return [cell for cell in self.cells if math.isfinite(cell.reward)]


@dataclass(frozen=True)
class Split:
    """Ids of the examples."""

    tune: list[str]
    test: list[str]


@dataclass(frozen=True)
class Tuned:
    task: str
    split: Split
    quality: str
    diversity: str
    texts: int
    families: dict[str, Family]
    differences: list[RewardDifference]
    grid: Grid


def read_tuned(task: str) -> Tuned | None:
    """Raises `PipelineError` naming the file."""
    tuned: Tuned | None = read_record(f"data/tune/{task}.json", Tuned | None, f"tune@{task}")
    return tuned


def write_tuned(path: Path, tuned: Tuned) -> None:
    write_json(path, sealed(to_json(tuned)))
