"""What evaluate measures of a task, `data/metrics/<task>.json`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from random_routing.files import sealed, write_json
from random_routing.results.compared import Compared
from random_routing.results.json_form import read_record, to_json

NAN = math.nan


@dataclass(frozen=True)
class Value:
    """A metric of a cell with its confidence interval; missing: why there is no value."""

    value: float
    lo: float
    hi: float
    missing: str = ""


NOTHING = Value(NAN, NAN, NAN)


@dataclass(frozen=True)
class CellValues:
    """A cell, or the human texts, with its metrics. q, lam, r, setting: NaN where they have no meaning."""

    cell: str
    family: str
    variant: str
    q: float
    lam: float  # as written in params.yaml, under either reading of λ
    r: float
    setting: float
    decoder: str  # the first cell with the same law, whose texts these are
    examples: int
    samples: int
    metrics: dict[str, Value]

    def get(self, metric: str) -> Value:
        return self.metrics.get(metric, NOTHING)


@dataclass(frozen=True)
class MetricAbout:
    label: str
    unit: str
    better: str
    needs: str
    source: str
    signature: str


@dataclass(frozen=True)
class GateRate:
    """How often a decoder took a route, with its interval. expected: NaN where the law gives none."""

    cell: str
    variant: str
    route: str  # q, λ or `BY_R`
    gate: str
    steps: int
    opened: int
    expected: float
    observed: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Recovery:
    """Log-probability (nats) of the token `lag` steps after an isolated random one, and of the same without routes.

    places: different ones among the events, (text, step), which decoders with common noise share.
    """

    variant: str
    lag: int
    events: int
    places: int
    after: float
    control: float
    difference: float
    lo: float
    hi: float


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Cells of a variant that have one r, and whether their texts agree; or why there are none to compare."""

    variant: str
    collapses: bool
    r: float = NAN
    cells: tuple[str, ...] = ()
    same_bytes: bool = False
    p_value: float = NAN
    why: str = ""


@dataclass(frozen=True)
class CurvePoint:
    """Mean log-likelihood of a human token at the rate r, and the same minus that at r = 0, with intervals. In the unit
    of its `Likelihood`.
    """

    r: float
    value: float
    lo: float
    hi: float
    difference: float = NAN  # NaN where r = 0 makes a text impossible
    difference_lo: float = NAN
    difference_hi: float = NAN


@dataclass(frozen=True)
class Likelihood:
    """How likely the human texts are over r, the r at which they are likeliest, and the greatest r (`cheap_r`) that
    costs less than 0.01 nats a token against it.
    """

    variant: str
    route: str
    curve: list[CurvePoint]
    best_r: float
    best_lo: float
    best_hi: float
    cheap_r: float = NAN
    cheap_lo: float = NAN
    cheap_hi: float = NAN
    unit: str = "nats / token"  # of its values, and of a cost of 0.01


@dataclass(frozen=True)
class Measured:
    task: str
    examples: list[str]  # their ids
    metrics: dict[str, MetricAbout]
    cells: list[CellValues]  # the human texts last
    recovery: list[Recovery]
    identity: list[Identity]
    gates: list[GateRate]
    likelihood: list[Likelihood]
    comparison: Compared
    not_guaranteed: tuple[str, ...] = ()  # of a generator that a server runs


def write_measured(measured: Measured) -> None:
    write_json(f"data/metrics/{measured.task}.json", sealed(to_json(measured)))


def read_measured(task: str) -> Measured:
    """Raises `PipelineError` naming the file."""
    measured: Measured = read_record(f"data/metrics/{task}.json", Measured, f"evaluate@{task}")
    return measured
