"""What the comparison says, in a sentence or two per task: never more than its intervals allow."""

from __future__ import annotations

import math
from collections.abc import Sequence

from random_routing.comparison import CURVES
from random_routing.metrics import METRICS
from random_routing.report.input import Results
from random_routing.report.names import one_route
from random_routing.report.tables.small_tables import missing
from random_routing.results.compared import Compared, Hypervolume, Matched
from random_routing.results.measured import CellValues, Likelihood, Measured
from random_routing.results.tuned import Tuned
from random_routing.settings import Settings

HEADER = """# Does random routing help?

Written by the stage summarize from the numbers; see `reports/matched.csv` for every decoder. A difference is
the decoder's quality minus that of the temperature or top-p curve *at the same diversity*, turned so that more
is better, with its {confidence:.0%} interval. p-values are corrected ({correction}) over a task's decoders.
"""
CORRECTIONS = {"holm": "Holm", "fdr_bh": "Benjamini–Hochberg"}


def findings(settings: Settings, results: dict[str, Results]) -> str:
    """Markdown, of all tasks."""
    comparison = settings.comparison
    header = HEADER.format(confidence=settings.confidence, correction=CORRECTIONS[comparison.correction])
    return "\n".join([header, *(_task(of_task, settings) for of_task in results.values())])


def _task(results: Results, settings: Settings) -> str:
    measured = results.measured
    return (
        "\n".join([f"## {measured.task}\n", _what(measured, settings), *sentences(results, settings)])
        + "\n"
    )


def _what(measured: Measured, settings: Settings) -> str:
    compared = measured.comparison
    quality, diversity = METRICS[compared.quality].axis, METRICS[compared.diversity].axis
    about = f"Quality is {quality}, diversity is {diversity}; {len(measured.examples)} examples.\n"
    passed_over = _passed_over(settings.comparison.quality[measured.task], measured)
    return f"{about}\n{passed_over}" if passed_over else about


def sentences(results: Results, settings: Settings) -> list[str]:
    """Items of a Markdown list, the answer first."""
    measured, compared = results.measured, results.measured.comparison
    lines = [
        _answer(compared),
        *(_curve(family, compared.matched, settings) for family in CURVES),
        _volume(compared.hypervolume),
        *(_likelihood(record) for record in measured.likelihood),
        *_tuned(results.tuned),
        _missing(measured.cells),
    ]
    return [line for line in lines if line]


def _tuned(tuned: Tuned | None) -> list[str]:
    """Families tuned with one budget, on the examples that the search never saw."""
    if tuned is None:
        return []
    lines = [
        f"- Tuned on {len(tuned.split.tune)} examples and measured on the other {len(tuned.split.test)}, "
        f"{_setting(record.family, tuned)}: **{verdict(record.lo, record.hi)}** against "
        f"{_setting(record.rival, tuned)}: {_signed(record.difference, record.lo, record.hi)} in reward."
        for record in tuned.differences
    ]
    return [*lines, _reached(tuned)]


def _reached(tuned: Tuned) -> str:
    """The best of all families beside the best of the grid, both on the examples that were tuned on."""
    winners = {family: of_family.winner.tune for family, of_family in tuned.families.items()}
    family = max(winners, key=lambda name: winners[name].reward)
    best = max(tuned.grid.rewarded, key=lambda cell: cell.reward, default=None)
    of_grid = (
        f"the best of the grid, `{best.cell}`, {best.reward:.3g}" if best else "no cell of the grid has one"
    )
    winner = winners[family]
    return (
        f"- On the examples that were tuned on, the best of all families, {_setting(family, tuned)}, has a reward of "
        f"{_three(winner.reward, winner.lo, winner.hi)} after {tuned.texts} texts; {of_grid} after {tuned.grid.texts}."
    )


def _setting(family: str, tuned: Tuned) -> str:
    best = tuned.families[family].winner
    if family in CURVES:
        return f"{CURVES[family]} {best.setting:.2f}"
    name = "scheduled routing" if family == "scheduled" else "routing"
    return f"{name} (`{best.variant}`, q = {best.q:.2g}, λ-weight = {best.weight:.2g})"


def _passed_over(preferred: Sequence[str], measured: Measured) -> str:
    """Why a metric that comes first in the settings is not the quality."""
    first = measured.cells[0]
    skipped = preferred[: preferred.index(measured.comparison.quality)]
    return "".join(f"{METRICS[name].axis} {first.get(name).missing}.\n" for name in skipped)


def _missing(cells: Sequence[CellValues]) -> str:
    """Metrics that no decoder has a value of, and those that some lack; `reports/missing.csv` has all."""
    decoders = [cell for cell in cells if cell.family != "human"]
    records = missing(decoders)
    if not records:
        return ""
    reasons: dict[str, list[str]] = {}
    for record in records:
        portion = "" if record.cells == record.of else f" (in {record.cells} of {record.of} cells)"
        reasons.setdefault(record.missing, []).append(f"`{record.metric}`{portion}")
    return "- Missing: " + "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items()) + "."


def verdict(low: float, high: float) -> str:
    """better, worse or no difference shown, by whether the interval excludes 0; NaN ends exclude nothing."""
    return "better" if low > 0 else "worse" if high < 0 else "no difference shown"


def _answer(compared: Compared) -> str:
    best = compared.best
    if best is None:
        reasons = {r.missing for r in compared.matched if r.curve == "temperature" and r.missing}
        why = f" ({'; '.join(sorted(reasons))})" if reasons else ""
        return (
            f"- **Not comparable**: no decoder with routes can be compared with the temperature curve{why}."
        )
    return (
        f"- **{verdict(best.lo, best.hi).capitalize()}** than temperature: the decoder that did best on one half of "
        f"the examples, `{best.cell}`, differs by {_signed(best.difference, best.lo, best.hi)} on the other half."
    ).replace("No difference shown** than", "No difference shown** from")


def _curve(family: str, matched: Sequence[Matched], settings: Settings) -> str:
    of_curve = [record for record in matched if record.curve == family]
    comparable = [record for record in of_curve if not record.missing]
    if not of_curve:
        return ""
    sure = [record for record in comparable if record.p_adjusted < 1 - settings.confidence]
    better = [record.cell for record in sure if record.difference > 0]
    worse = [record.cell for record in sure if record.difference < 0]
    curve = f"- Against the {CURVES[family]} curve: "
    if not comparable:
        return f"{curve}none of {len(of_curve)} decoders can be compared ({of_curve[0].missing})."
    named = f" ({', '.join(f'`{cell}`' for cell in better[:5])})" if better else ""
    return (
        f"{curve}of the {len(comparable)} of {len(of_curve)} decoders at a diversity that it reaches, {len(better)} "
        f"better{named}, {len(worse)} worse, {len(comparable) - len(sure)} with no difference shown."
    )


def _volume(volumes: Sequence[Hypervolume]) -> str:
    routing = next((v for v in volumes if v.family == "routing" and math.isfinite(v.ratio)), None)
    if routing is None:
        return ""
    return (
        f"- All of routing covers {routing.ratio:.2f} times the area of the quality–diversity plane that temperature "
        f"covers ({routing.ratio_lo:.2f} to {routing.ratio_hi:.2f})."
    )


def _likelihood(record: Likelihood) -> str:
    if math.isnan(record.best_lo):  # a single text
        return ""
    return (
        f"- The human texts are likeliest under `{record.variant}` ({one_route(record.route)}) at "
        f"r = {record.best_r:.2g} ({record.best_lo:.2g} to {record.best_hi:.2g})."
    )


def _signed(value: float, low: float, high: float) -> str:
    return _three(value, low, high, "+.3g")


def _three(value: float, low: float, high: float, how: str = ".3g") -> str:
    """A number and its interval, which undefined resamples may leave without ends."""
    if math.isnan(low) or math.isnan(high):
        return f"{value:{how}} (no interval)"
    return f"{value:{how}} ({low:{how}} to {high:{how}})"
