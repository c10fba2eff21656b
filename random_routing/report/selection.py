"""Which metrics and which rows stand for what: shared by the summary and the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from random_routing.metrics import METRICS
from random_routing.results.measured import CellValues, Measured
from random_routing.settings import Base, Variant

# The first that is measured stands beside the metrics of the comparison.
BESIDE = ("perplexity", "length", "kernel_distance")
PANELS = 3


def telling_metrics(measured: Measured) -> list[str]:
    """Diversity and quality of the comparison and one more, of which any routed cell has a value."""
    routed = [row for row in measured.cells if row.family == "routing"]
    wanted = dict.fromkeys((measured.comparison.diversity, measured.comparison.quality, *BESIDE))
    return [m for m in wanted if any(math.isfinite(row.get(m).value) for row in routed)][:PANELS]


def variants_in(rows: Sequence[CellValues]) -> dict[str, list[CellValues]]:
    """Variant → its routing rows, in the table's order."""
    variants: dict[str, list[CellValues]] = {}
    for row in rows:
        if row.family == "routing":
            variants.setdefault(row.variant, []).append(row)
    return variants


def with_two_knobs(rows: Sequence[CellValues], variants: dict[str, Variant]) -> dict[str, list[CellValues]]:
    """Variant → its rows, of those in whose grid and law q and λ both count."""
    return {
        name: members
        for name, members in variants_in(rows).items()
        if not variants[name].collapses
        and all(len({getattr(r, knob) for r in members}) > 1 for knob in ("q", "lam"))
    }


def baselines_in(rows: Sequence[CellValues]) -> dict[str, list[CellValues]]:
    """Baseline family → its rows in the order of their setting."""
    families: dict[str, list[CellValues]] = {}
    for row in rows:
        if row.family not in ("routing", "human"):
            families.setdefault(row.family, []).append(row)
    return {family: sorted(members, key=lambda row: row.setting) for family, members in families.items()}


def human_in(rows: Sequence[CellValues]) -> CellValues | None:
    return next((row for row in rows if row.family == "human"), None)


def human_value(rows: Sequence[CellValues], metric: str) -> float:
    """What human texts have of a metric; NaN where that says nothing."""
    human, about = human_in(rows), METRICS[metric]
    if about.against_human or human is None:
        return about.people
    return human.get(metric).value


def distinct(rows: Sequence[CellValues]) -> list[CellValues]:
    """One row per distinct decoder, in the order of r."""
    first: dict[str, CellValues] = {}
    for row in rows:
        first.setdefault(row.decoder, row)
    return sorted(first.values(), key=lambda row: row.r)


@dataclass(frozen=True)
class Line:
    """Rows of a variant that differ in one knob. knob: "r", "q", "λ"; "" where nothing connects them."""

    knob: str
    rows: tuple[CellValues, ...]


def lines(rows: Sequence[CellValues], variant: Variant, lambda_means: str) -> list[Line]:
    """A collapsing variant is one line over r; else q alone (no λ-route) and λ alone (q = 0)."""
    if variant.collapses:
        return [Line("r", tuple(distinct(rows)))]
    never = {"explore": 0.0, "exploit": 1.0}[lambda_means]  # the λ at which its route is never taken
    q_alone = distinct([row for row in rows if row.lam == never])
    lambda_alone = distinct([row for row in rows if row.q == 0])
    if len(q_alone) == len(lambda_alone) == 1:  # both are the base decoder alone
        return [Line("r", tuple(q_alone))]
    edges = [
        Line(knob, tuple(edge)) for knob, edge in (("q", q_alone), ("λ", lambda_alone)) if len(edge) > 1
    ]
    return edges or [Line("", tuple(distinct(rows)))]


def plain(rows: Sequence[CellValues], variants: dict[str, Variant], base: Base) -> CellValues | None:
    """The row of a base decoder without routes: a baseline, or the variant that routes on it."""
    for row in rows:
        greedy = row.family == "greedy" and base.greedy
        sampling = row.family == "temperature" and row.setting == 1 and base == Base()
        routing = row.family == "routing" and row.r == 0 and variants[row.variant].base == base
        if greedy or sampling or routing:
            return row
    return None
