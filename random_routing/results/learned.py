"""What learn finds of an entry, `data/learning/<name>.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from random_routing.files import sealed, write_json
from random_routing.results.json_form import read_record, to_json


@dataclass(frozen=True)
class Point:
    """unit: the first episode or step of a stretch, from 1; iqm: interquartile mean of the return, with its interval;
    mean: over all runs; optimal: of a bandit, the share of pulls of the best arm; steps: of an episode, mean."""

    unit: int
    iqm: float
    lo: float
    hi: float
    mean: float
    optimal: float
    steps: float


@dataclass(frozen=True)
class Score:
    """The return of a run, averaged over all of its units or the last ones, with what exploring costs; or that of the
    greedy actions by what was learned in the end, without it. Interquartile mean over the runs.

    difference: from the agent that all others are compared with, in pairs of equal seeds, with an interval that holds
    for all of the entry together; verdict: on it.
    """

    window: str  # all | last | greedy
    iqm: float
    lo: float
    hi: float
    mean: float
    difference: float
    difference_lo: float
    difference_hi: float
    p: float
    verdict: str


@dataclass(frozen=True)
class Outcome:
    """random: share of steps on a random route; cut: share of episodes that were cut."""

    cell: str
    family: str
    variant: str
    q: float
    lam: float
    r: float
    setting: float
    repeat: bool
    random: float
    cut: float
    scores: list[Score]
    curve: list[Point]


@dataclass(frozen=True)
class Outcomes:
    """Of an entry, `data/learning/<name>.json`."""

    entry: str
    seeds: int
    agents: list[Outcome]


def outcomes_file(entry: str) -> Path:
    return Path("data/learning") / f"{entry}.json"


def write_outcomes(outcomes: Outcomes) -> None:
    write_json(outcomes_file(outcomes.entry), sealed(to_json(outcomes)))


def read_outcomes(entry: str) -> Outcomes:
    """Raises `PipelineError` naming the file."""
    found: Outcomes = read_record(str(outcomes_file(entry)), Outcomes, f"learn@{entry}")
    return found
