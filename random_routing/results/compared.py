"""How the decoders of a task compare: what `data/metrics/<task>.json` holds under `comparison`."""

from __future__ import annotations

import math
from dataclasses import dataclass

NAN = math.nan


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference, turned so that more is better, with its interval and p-value."""

    difference: float
    lo: float
    hi: float
    p: float


@dataclass(frozen=True, kw_only=True)
class Matched(Difference):
    """A cell's quality minus that of a curve at the cell's diversity, or why there is none."""

    cell: str
    curve: str
    difference: float = NAN
    lo: float = NAN
    hi: float = NAN
    p: float = NAN
    p_adjusted: float = NAN
    missing: str = ""


@dataclass(frozen=True, kw_only=True)
class ContrastResult:
    """A hypothesis that was named before the run: the mean difference of its cells, and what it shows.

    error: the estimate's standard error; lo, hi: simultaneous over all hypotheses; delta: differences below it do not
    matter; detectable: the least one that is found with a chance of 80 %; needed: prompts that would settle it; cells:
    that could be compared, of `of`; variance: the share that control variates leave, 1 without them; veto: failures
    for which a favourable verdict is not given.
    """

    contrast: str
    variant: str
    against: str
    delta: float
    of: int
    cells: int = 0
    estimate: float = NAN
    error: float = NAN
    lo: float = NAN
    hi: float = NAN
    p: float = NAN
    p_adjusted: float = NAN
    verdict: str = ""
    detectable: float = NAN
    needed: int = 0
    prompts: int
    texts: int
    variance: float = NAN
    veto: str = ""
    missing: str = ""

    @property
    def small(self) -> bool:
        """A difference that is there, and is estimated to be below Δ."""
        return self.verdict in ("better", "worse") and abs(self.estimate) < self.delta


@dataclass(frozen=True, kw_only=True)
class OnOtherAxes:
    """A hypothesis by another diversity or quality than the one it is judged by. lo, hi: as wide as its own."""

    contrast: str
    against: str
    diversity: str
    quality: str
    cells: int
    estimate: float = NAN
    lo: float = NAN
    hi: float = NAN
    p: float = NAN


@dataclass(frozen=True, kw_only=True)
class AgainstBase(Difference):
    """A cell's metric minus that of its base decoder without routes."""

    cell: str
    metric: str
    p_adjusted: float = NAN


@dataclass(frozen=True, kw_only=True)
class Best(Difference):
    """The decoders that did best on one half of the examples, each measured on the other; the mean of both."""

    cells: tuple[str, ...]


@dataclass(frozen=True)
class OnFront:
    """Whether a cell is on the front of all decoders and on that of its family, and in which share of resamples."""

    cell: str
    family: str
    on_front: bool
    share: float
    on_family_front: bool
    family_share: float


@dataclass(frozen=True)
class Compared:
    diversity: str  # the metrics that are the two coordinates
    quality: str
    correction: str
    contrasts: list[ContrastResult]
    axes: list[OnOtherAxes]
    matched: list[Matched]
    against_base: list[AgainstBase]
    front: list[OnFront]
    best: Best | None
