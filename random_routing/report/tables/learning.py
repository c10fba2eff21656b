"""`reports/learning.csv`, and the rows of the page's tables of agents that learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from random_routing.report.names import difference, with_interval
from random_routing.report.tables.small_tables import csv_of
from random_routing.results.json_form import to_json
from random_routing.results.learned import Outcome, Outcomes
from random_routing.settings import Learning, Settings

ABOUT = ("cell", "family", "variant", "q", "lambda", "r", "setting", "repeat", "random", "cut")
SCORE = (
    "window", "iqm", "lo", "hi", "mean", "difference", "difference_lo", "difference_hi", "p", "verdict",
)  # fmt: skip
COLUMNS = ("entry", "algorithm", "environment", "seeds", *ABOUT, *SCORE, "against", "delta")


def learning_csv(settings: Settings, outcomes: Mapping[str, Outcomes]) -> str:
    """A row for each entry, cell and window."""
    rows = []
    for name, found in outcomes.items():
        entry = settings.learning[name]
        for agent in found.agents:
            about = {key: to_json(agent).get(key) for key in ABOUT}
            of_entry: dict[str, Any] = {
                "entry": name,
                "algorithm": entry.algorithm,
                "environment": world(entry),
            }
            of_entry |= {"seeds": found.seeds, "against": entry.against, "delta": entry.delta}
            rows += [{**of_entry, **about, **to_json(score)} for score in agent.scores]
    return csv_of(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])


def world(entry: Learning) -> str:
    return f"bandit of {entry.arms} arms" if entry.bandit else entry.environment


def name_of(agent: Outcome) -> str:
    """An agent for people: "ε-greedy, 0.1", "temperature 0.2"; of every explorer without random steps "greedy"."""
    if agent.family == "temperature":
        return f"temperature {agent.setting:g}"
    if agent.r == 0:
        return "greedy"
    return f"{agent.variant.replace('epsilon', 'ε')}, {agent.r:.3g}"


def described(entry: Learning) -> str:
    """An entry in a line."""
    if entry.bandit:
        what = f"{entry.seeds:,} bandits of {entry.arms} arms, {entry.steps:,} steps of sample averages"
    else:
        what = (
            f"{entry.algorithm} on {entry.environment}, {entry.seeds:,} seeds × {entry.episodes:,} episodes of at most "
            f"{entry.max_steps:,} steps, step size {entry.step_size:g}, discount {entry.discount:g}"
        )
    return f"{what}; Δ = {entry.delta:g}"


def table_rows(outcomes: Outcomes) -> list[dict[str, Any]]:
    """For the page: an agent each, with a field for each window."""
    rows = []
    for agent in outcomes.agents:
        scores = {
            score.window: {
                "iqm": with_interval(score.iqm, score.lo, score.hi),
                "difference": difference(score.difference, score.difference_lo, score.difference_hi),
                "verdict": score.verdict,
            }
            for score in agent.scores
        }
        rows.append({"name": name_of(agent), "random": f"{agent.random:.1%}", **scores})
    return rows
