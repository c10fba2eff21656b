"""What agents have learned: returns with intervals, differences from one agent, and verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from random_routing.comparison.verdicts import judge
from random_routing.learning.agents import Agent
from random_routing.learning.interquartile import draws, interquartile_mean, interval, resampled
from random_routing.learning.lives import Life
from random_routing.results.learned import Outcome, Outcomes, Point, Score
from random_routing.settings import Learning, Settings
from random_routing.settings.learning import PULLS

PLACES = 50  # of a curve
CURVE_RESAMPLES = 500  # of a curve's bands
SERIES = ("returns", "counts", "random")  # of a life
WINDOWS = ("all", "last", "greedy")


def summarized(
    settings: Settings, entry: Learning, agents: Sequence[Agent], lives: Mapping[str, list[Life]]
) -> Outcomes:
    """lives: cell → one for each seed."""
    drawn = draws(entry.seeds, 1, settings.resamples, settings.seed)
    few = drawn[:CURVE_RESAMPLES]
    rival = _scored(lives[entry.against], drawn, entry)
    found = [
        _outcome(agent, lives[agent.cell.name], rival, (drawn, few), settings, entry, len(agents))
        for agent in agents
    ]
    return Outcomes(entry.name, entry.seeds, found)


def _outcome(
    agent: Agent, lives: Sequence[Life], rival: Mapping[str, _Scored], drawn: tuple[np.ndarray, np.ndarray],
    settings: Settings, entry: Learning, agents: int,
) -> Outcome:  # fmt: skip
    cell, mine = agent.cell, _scored(lives, drawn[0], entry)
    returns, counts, random = (np.stack([getattr(life, key) for life in lives]) for key in SERIES)
    q, lam, r, setting = (math.nan if x is None else x for x in (cell.q, cell.lam, cell.r, cell.setting))
    steps = entry.seeds * entry.steps if entry.bandit else counts.sum()
    return Outcome(
        cell.name, cell.family, cell.variant, q, lam, r, setting, agent.repeat,
        random=float(random.sum() / steps),
        cut=math.nan if entry.bandit else float(np.mean(counts == entry.max_steps)),
        scores=[_score(window, mine[window], rival[window], settings, entry, agents) for window in WINDOWS],
        curve=_curve(returns, counts, drawn[1], settings.confidence, entry),
    )  # fmt: skip


@dataclass(frozen=True)
class _Scored:
    runs: np.ndarray  # (N,)
    iqm: float
    resampled: np.ndarray  # (B,)


def _scored(lives: Sequence[Life], drawn: np.ndarray, entry: Learning) -> dict[str, _Scored]:
    """By window."""
    returns = np.stack([life.returns for life in lives]).astype(np.float64)
    last = entry.last // PULLS if entry.bandit else entry.last
    greedy = np.concatenate([life.greedy for life in lives])
    of_window = {"all": returns.mean(1), "last": returns[:, -last:].mean(1), "greedy": greedy}
    return {
        window: _Scored(runs, interquartile_mean(runs), resampled(runs, drawn))
        for window, runs in of_window.items()
    }


def _score(
    window: str, mine: _Scored, rival: _Scored, settings: Settings, entry: Learning, agents: int
) -> Score:
    lo, hi = interval(mine.resampled, settings.confidence)
    about = (window, mine.iqm, lo, hi, float(mine.runs.mean()))
    if np.array_equal(mine.runs, rival.runs):
        return Score(*about, 0.0, 0.0, 0.0, 1.0, "")
    difference = mine.iqm - rival.iqm
    error = float(np.std(mine.resampled - rival.resampled, ddof=1))
    tests = len(WINDOWS) * (agents - 1)
    judged = judge(difference, error, entry.seeds, entry.delta, tests, settings.confidence)
    return Score(*about, difference, judged.lo, judged.hi, judged.p_adjusted, judged.verdict)


def _curve(
    returns: np.ndarray, counts: np.ndarray, drawn: np.ndarray, confidence: float, entry: Learning
) -> list[Point]:
    """returns, counts: (N, U). Stretches of equal length, of a bandit each unit by itself."""
    units = returns.shape[1]
    edges = np.unique(
        np.linspace(0, units, (units if entry.bandit else min(units, PLACES)) + 1).astype(int)
    )
    points = []
    for start, stop in pairwise(edges.tolist()):
        runs = returns[:, start:stop].astype(np.float64).mean(1)
        count = float(counts[:, start:stop].mean())
        lo, hi = interval(resampled(runs, drawn), confidence)
        optimal, steps = (count / PULLS, np.nan) if entry.bandit else (np.nan, count)
        unit = start * (PULLS if entry.bandit else 1) + 1
        points.append(Point(unit, interquartile_mean(runs), lo, hi, float(runs.mean()), optimal, steps))
    return points
