"""What episodes earn, and how differently those of one beginning go: the texts of tasks of kind rl.

Each is replayed in the policy's own world, with the luck of its example.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np

from random_routing.metrics.metric import CellTexts, Metric, columns, ratio
from random_routing.metrics.within_prompt import groups

KINDS = ("rl",)
PLAYED = "replayed from the seed of the example"


def return_stats(cell: CellTexts) -> np.ndarray:
    return columns(cell.episodes.total, [1] * len(cell.texts))


def success_stats(cell: CellTexts) -> np.ndarray:
    return columns(cell.episodes.won, [1] * len(cell.texts))


def steps_stats(cell: CellTexts) -> np.ndarray:
    return columns(cell.episodes.steps, [1] * len(cell.texts))


def visited(cell: CellTexts) -> list[frozenset[int]]:
    """The states of each episode, the first among them."""
    return [frozenset(states.tolist()) for states in cell.episodes.states]


def path_spread_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2), in the first row of each example: 1 − |A ∩ B| / |A ∪ B| of its pairs of episodes, summed (Jaccard 1912);
    and the pairs. A and B are the states that they visit.
    """
    stats, states = np.zeros((len(cell.texts), 2)), visited(cell)
    for group in groups(cell.example):
        pairs = [(states[a], states[b]) for a, b in combinations(group, 2)]
        stats[group[0]] = sum(1 - len(a & b) / len(a | b) for a, b in pairs), len(pairs)
    return stats


def states_visited_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2), in the first row of each example: the states that any of its episodes visits, and 1."""
    stats, states = np.zeros((len(cell.texts), 2)), visited(cell)
    for group in groups(cell.example):
        stats[group[0]] = len(frozenset().union(*(states[row] for row in group))), 1
    return stats


def visit_entropy_stats(cell: CellTexts) -> np.ndarray:
    """(R, 2), in the first row of each example: −Σ p·log p of the states in all steps of its episodes, and 1."""
    stats = np.zeros((len(cell.texts), 2))
    for group in groups(cell.example):
        counts = Counter(state for row in group for state in cell.episodes.states[row].tolist())
        share = np.array(list(counts.values())) / counts.total()
        stats[group[0]] = -(share * np.log(share)).sum(), 1
    return stats


METRICS = (
    Metric(
        name="return",
        label="return of an episode",
        axis="return (sum of rewards)",
        unit="rewards, undiscounted",
        role="quality",
        coordinate="quality",
        kinds=KINDS,
        better="higher",
        source="Sutton & Barto 2018",
        signature=f"{PLAYED}|mean over episodes",
        stats=return_stats,
        aggregate=ratio,
    ),
    Metric(
        name="success",
        label="episodes that end well",
        axis="episodes that end well / all",
        unit="share, 0 to 1",
        role="quality",
        coordinate="quality",
        kinds=KINDS,
        better="higher",
        source="a count",
        signature=f"{PLAYED}|ended by the greatest of the rewards that end an episode",
        stats=success_stats,
        aggregate=ratio,
    ),
    Metric(
        name="steps",
        label="steps of an episode",
        axis="steps of an episode",
        unit="actions",
        role="length",
        kinds=KINDS,
        better="",
        source="a count",
        signature=f"{PLAYED}|mean over episodes",
        stats=steps_stats,
        aggregate=ratio,
    ),
    Metric(
        name="path_spread",
        label="difference of the states that two episodes of one beginning visit",
        axis="Jaccard distance of episodes' states",
        unit="0 to 1",
        role="diversity",
        coordinate="diversity",
        kinds=KINDS,
        better="higher",
        source="Jaccard 1912",
        signature=f"{PLAYED}|sets of states, the first among them|mean over all pairs of an example's episodes",
        stats=path_spread_stats,
        aggregate=ratio,
        minimum_samples=2,
    ),
    Metric(
        name="states_visited",
        label="states that any episode of one beginning visits",
        axis="states visited by an example's episodes",
        unit="states",
        role="diversity",
        coordinate="diversity",
        kinds=KINDS,
        better="higher",
        source="a count",
        signature=f"{PLAYED}|the first state counts|mean over examples",
        stats=states_visited_stats,
        aggregate=ratio,
        over_all=True,
    ),
    Metric(
        name="visit_entropy",
        label="entropy of the states visited",
        axis="entropy of visits (nats)",
        unit="nats",
        role="diversity",
        coordinate="diversity",
        kinds=KINDS,
        better="higher",
        source="Shannon 1948; Hazan et al. 2019",
        signature=f"{PLAYED}|all steps of an example's episodes|mean over examples",
        stats=visit_entropy_stats,
        aggregate=ratio,
        over_all=True,
    ),
)
