"""Which metrics and which rows stand for what: shared by the summary and the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from random_routing.results.measured import CellValues
from random_routing.settings import Base, Variant

# The first of each that the table holds is used, so that any metric may be switched off.
DIVERSITY = ("distinct_2", "distinct_3", "distinct_1", "self_bleu")
FLUENCY = ("perplexity", "generator_perplexity")
RELEVANCE = {
    "textgen": ("context_similarity",),
    "dialogue": ("reference_similarity", "context_similarity"),
    "translation": ("bleu", "chrf", "ter"),
}
# What the plane shows as quality. Open-ended text has no reference.
QUALITY = {
    "textgen": (*FLUENCY, "context_similarity"),
    "dialogue": (*RELEVANCE["dialogue"], *FLUENCY),
    "translation": (*RELEVANCE["translation"], *FLUENCY),
}


def pick(names: Sequence[str], rows: Sequence[CellValues]) -> str | None:
    """The first metric that any cell but the human one has a value of."""
    for name in names:
        if any(row.family != "human" and not math.isnan(row.get(name).value) for row in rows):
            return name
    return None


def variants_in(rows: Sequence[CellValues]) -> dict[str, list[CellValues]]:
    """Variant → its routing rows, in the table's order."""
    variants: dict[str, list[CellValues]] = {}
    for row in rows:
        if row.family == "routing":
            variants.setdefault(row.variant, []).append(row)
    return variants


def baselines_in(rows: Sequence[CellValues]) -> dict[str, list[CellValues]]:
    """Baseline family → its rows in the order of their setting."""
    families: dict[str, list[CellValues]] = {}
    for row in rows:
        if row.family not in ("routing", "human"):
            families.setdefault(row.family, []).append(row)
    return {family: sorted(members, key=lambda row: row.setting) for family, members in families.items()}


def human_in(rows: Sequence[CellValues]) -> CellValues | None:
    return next((row for row in rows if row.family == "human"), None)


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
