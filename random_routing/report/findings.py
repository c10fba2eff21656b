"""What the comparison says, in a sentence or two per task: never more than its intervals allow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from random_routing.comparison import CURVES
from random_routing.comparison.verdicts import Verdict
from random_routing.metrics import METRICS
from random_routing.report.input import Results
from random_routing.report.names import (
    difference,
    in_number,
    one_route,
    people,
    tuned_setting,
    with_interval,
)
from random_routing.report.tables.small_tables import missing
from random_routing.results.compared import Compared, ContrastResult, Matched
from random_routing.results.measured import CalibrationBest, CellValues, Likelihood, Measured
from random_routing.results.pooled import Pooled
from random_routing.results.tuned import Tuned
from random_routing.settings import Settings

HEADER = """# Does random routing help?

Hypotheses of `params.yaml`, named before the run. A difference is the mean quality of the hypothesis's decoders minus
that of the temperature or top-p curve *at their own diversity* (or minus that of the base decoder without routes),
turned so that more is better. {intervals} with {confidence:.0%} confidence. *Equivalent*: the
difference is shown to be below Δ, which `params.yaml` says does not matter.
"""
EXPLORED = """
Under *exploration* stand single decoders that no hypothesis named; p-values are corrected ({correction}) over a task's
decoders, see `reports/matched.csv`.
"""
CORRECTIONS = {"holm": "Holm", "fdr_bh": "Benjamini–Hochberg"}


def findings(settings: Settings, results: Mapping[str, Results], together: Sequence[Pooled] = ()) -> str:
    """Markdown, of all tasks, and of those whose texts were taken together."""
    comparison = settings.comparison
    tests = comparison.hypotheses(settings.tasks)
    intervals = in_number(tests, "The interval holds", "The {} intervals hold together")
    header = HEADER.format(confidence=settings.confidence, intervals=intervals)
    explored = EXPLORED.format(correction=CORRECTIONS[comparison.correction])
    sections = (_task(of_task, settings) for of_task in results.values())
    contrasts = {task: of_task.measured.comparison.contrasts for task, of_task in results.items()}
    contrasts |= {group.name: group.compared.contrasts for group in together}
    return "\n".join([header, verdict_table(contrasts), explored, *sections, *map(_together, together)])


def verdict_table(contrasts: Mapping[str, Sequence[ContrastResult]]) -> str:
    """Markdown: a line for each hypothesis of each task."""
    lines = [
        "| task | hypothesis | against | verdict | difference | Δ | prompts | texts |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for task, records in contrasts.items():
        for record in records:
            found = record.missing or difference(record.estimate, record.lo, record.hi)
            verdict = (record.verdict or "missing") + (f": {record.veto}" if record.veto else "")
            lines.append(
                f"| {task} | {record.contrast} | {record.against} | {verdict} | {found} | "
                f"{record.delta:g} | {record.prompts} | {record.texts} |"
            )
    return "\n".join(lines)


def _task(results: Results, settings: Settings) -> str:
    measured = results.measured
    return (
        "\n".join([f"## {measured.task}\n", _what(measured, settings), *sentences(results, settings)])
        + "\n"
    )


def _together(group: Pooled) -> str:
    about = f"All texts of {', '.join(group.tasks)}, which differ in the seed alone.\n"
    return (
        "\n".join([f"## {group.name}\n", about, *map(contrast_sentence, group.compared.contrasts)]) + "\n"
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
    about = {cell.cell: cell for cell in measured.cells}
    lines = [
        *(contrast_sentence(record) for record in compared.contrasts),
        *_axes(compared),
        _best(compared, about),
        *(_curve(family, compared.matched, settings) for family in CURVES),
        *(_likelihood(record, people(settings.tasks[measured.task])) for record in measured.likelihood),
        *(_calibrated(record) for record in measured.calibrated if record.family == "routing"),
        *_tuned(results.tuned),
        _missing(measured.cells),
        _not_guaranteed(measured.not_guaranteed),
    ]
    return [line for line in lines if line]


def _tuned(tuned: Tuned | None) -> list[str]:
    """Families tuned with one budget, on the examples that the search never saw."""
    if tuned is None:
        return []
    lines = [
        f"- Exploration: tuned on {len(tuned.split.tune)} examples and measured on the other {len(tuned.split.test)}, "
        f"{tuned_setting(record.family, tuned)}: **{verdict(record.lo, record.hi)}** against "
        f"{tuned_setting(record.rival, tuned)}: {difference(record.difference, record.lo, record.hi)} in reward."
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
        f"- On the examples that were tuned on, the best of all families, {tuned_setting(family, tuned)}, has a reward "
        f"of {with_interval(winner.reward, winner.lo, winner.hi)} after {tuned.texts} texts; {of_grid} after "
        f"{tuned.grid.texts}."
    )


def _passed_over(preferred: Sequence[str], measured: Measured) -> str:
    """Why a metric that comes first in the settings is not the quality."""
    first = measured.cells[0]
    skipped = preferred[: preferred.index(measured.comparison.quality)]
    return "".join(f"{METRICS[name].axis} {first.get(name).missing}.\n" for name in skipped)


def _missing(cells: Sequence[CellValues]) -> str:
    """Metrics that no decoder has a value of, and those that some lack; `reports/missing.csv` has all."""
    decoders = [cell for cell in cells if cell.decoded]
    records = missing(decoders)
    if not records:
        return ""
    reasons: dict[str, list[str]] = {}
    for record in records:
        portion = "" if record.cells == record.of else f" (in {record.cells} of {record.of} cells)"
        reasons.setdefault(record.missing, []).append(f"`{record.metric}`{portion}")
    return "- Missing: " + "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items()) + "."


def _not_guaranteed(sentences: Sequence[str]) -> str:
    return f"- Not guaranteed, as a server runs the generator: {'; '.join(sentences)}." if sentences else ""


def verdict(low: float, high: float) -> str:
    """better, worse or no difference shown, by whether the interval excludes 0; NaN ends exclude nothing."""
    return "better" if low > 0 else "worse" if high < 0 else "no difference shown"


def contrast_sentence(record: ContrastResult) -> str:
    """What a hypothesis came to, and where that is not known what it would take."""
    against = (
        "their base decoder without routes"
        if record.against == "base"
        else f"{CURVES[record.against]} at equal diversity"
    )
    name, found = f"`{record.contrast}`", difference(record.estimate, record.lo, record.hi)
    if record.missing:
        return f"- {name}: **not comparable** with {against} ({record.missing})."
    part = "" if record.cells == record.of else f"; {record.cells} of {record.of} decoders can be compared"
    if record.verdict == Verdict.EQUIVALENT:
        return f"- {name}: **equivalent** to {against} within {record.delta:g} ({found}{part})."
    if record.verdict == Verdict.INCONCLUSIVE:
        return f"- {name}: **inconclusive** against {against}: {found}{part}. {_settle(record)}"
    small = f"; estimated below Δ = {record.delta:g}" if record.small else ""
    return f"- {name}: **{record.verdict}** than {against}: {found}{small}{part}."


def _settle(record: ContrastResult) -> str:
    if record.veto:
        return f"It would be better or equivalent, but its texts have {record.veto}."
    return (
        f"This run sees differences of {record.detectable:.2g} and more; {record.needed:,} prompts would settle one "
        f"of {record.delta:g}."
    )


def _said(cell: CellValues) -> str:
    return f"{cell.variant} with q = {cell.q:g}, λ = {cell.lam:g}"


def _axes(compared: Compared) -> list[str]:
    """Each hypothesis by other diversities and qualities, in a line."""
    lines = []
    for contrast in dict.fromkeys(record.contrast for record in compared.axes):
        said: dict[str, list[str]] = {}
        for record in compared.axes:
            if record.contrast == contrast and (
                record.against != "base" or record.diversity == compared.diversity
            ):
                other = record.quality if record.diversity == compared.diversity else record.diversity
                said.setdefault(
                    verdict(record.lo, record.hi) if record.cells else "not comparable", []
                ).append(other)
        found = "; ".join(
            f"{word} by {', '.join(f'`{name}`' for name in names)}" for word, names in said.items()
        )
        lines.append(f"- `{contrast}` by other measures: {found}.")
    return lines


def _best(compared: Compared, about: dict[str, CellValues]) -> str:
    best = compared.best
    if best is None:
        return ""
    found = difference(best.difference, best.lo, best.hi)
    names = " and ".join(dict.fromkeys(_said(about[cell]) for cell in best.cells))
    return (
        f"- Exploration: the decoders that did best on one half of the examples, {names}, each measured on the other "
        f"half, differ by {found} from temperature: **{verdict(best.lo, best.hi)}**."
    )


def _curve(family: str, matched: Sequence[Matched], settings: Settings) -> str:
    of_curve = [record for record in matched if record.curve == family]
    comparable = [record for record in of_curve if not record.missing]
    if not of_curve:
        return ""
    sure = [record for record in comparable if record.p_adjusted < 1 - settings.confidence]
    better, worse = (sum(sign * record.difference > 0 for record in sure) for sign in (1, -1))
    if not comparable:
        reasons = "; ".join(sorted({record.missing for record in of_curve}))
        return (
            f"- Exploration: no single decoder can be compared with the {CURVES[family]} curve ({reasons})."
        )
    return (
        f"- Exploration: of {len(comparable)} of {len(of_curve)} single decoders at a diversity that the "
        f"{CURVES[family]} curve reaches, {better} are better, {worse} worse, and "
        f"{len(comparable) - len(sure)} show no difference."
    )


def _calibrated(record: CalibrationBest) -> str:
    """What a uniform route does for the probabilities of labels, against plain sampling and the best temperature."""
    name = {"nll": "`label_nll`", "brier": "`brier`", "error": "`calibration_error`"}[record.metric]
    if record.setting == 0:
        return f"- Labels: no rate of a uniform route makes {name} less than it is without, {record.value:.3g}."
    setting = with_interval(record.setting, record.setting_lo, record.setting_hi, ".2g")
    return (
        f"- Labels: with a uniform route {name} is least at r = {setting}, {record.value:.3g}: "
        f"{difference(record.gain, record.gain_lo, record.gain_hi)} against none, and "
        f"{difference(record.rival, record.rival_lo, record.rival_hi)} against the best temperature (each chosen on "
        "the examples that it is measured on)."
    )


def _likelihood(record: Likelihood, writers: str) -> str:
    if math.isnan(record.best_lo):  # a single text
        return ""
    law, begin = f"`{record.variant}` ({one_route(record.route)})", f"- {writers.capitalize()}"
    cheap = f"up to r = {with_interval(record.cheap_r, record.cheap_lo, record.cheap_hi, '.2g')}"
    unit, cost = record.unit.replace("/", "a"), ""
    for plain in record.curve[:1] if record.unit.startswith("bits") else ():
        if plain.r == 0:  # which greedy decoding makes impossible
            cost = f" Without routes they take {with_interval(-plain.value, -plain.hi, -plain.lo)} {unit}."
    if record.best_r == 0:
        return f"{begin}: random steps of {law} cost less than 0.01 {unit} {cheap}, and never help.{cost}"
    best = with_interval(record.best_r, record.best_lo, record.best_hi, ".2g")
    return f"{begin}: likeliest under {law} at r = {best}; within 0.01 {unit} of that {cheap}.{cost}"
