"""What the page's cards say of hypotheses, and its sections on power and on tuning show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from random_routing.comparison.power import power
from random_routing.comparison.verdicts import Verdict
from random_routing.report.figures.tuning import LOOKS
from random_routing.report.input import Results
from random_routing.report.names import difference, short, tuned_setting, with_interval
from random_routing.results.compared import Compared, ContrastResult
from random_routing.results.json_form import to_json
from random_routing.results.pooled import Pooled
from random_routing.results.tuned import Tuned
from random_routing.settings import Settings
from random_routing.tasks import TASK_KINDS

TIMES = (1, 4, 16)  # as many prompts


LITTLE = " a little, by an estimate below Δ"
SAID = {  # verdict → in plain words; followed by LITTLE: the difference is estimated to be one that does not matter
    Verdict.BETTER: "helped",
    Verdict.BETTER + LITTLE: f"helped{LITTLE}",
    Verdict.WORSE: "hurt",
    Verdict.WORSE + LITTLE: f"hurt{LITTLE}",
    Verdict.EQUIVALENT: "made no difference that matters",
}


def in_short(records: Sequence[ContrastResult]) -> str:
    """The verdicts of a task in a sentence, without a number that needs explaining."""
    of: dict[str, list[ContrastResult]] = {}
    for record in records:
        verdict = "" if record.veto else (record.verdict or "missing") + LITTLE * record.small
        of.setdefault(verdict, []).append(record)
    parts = [f"{_names(of[verdict])} {said}" for verdict, said in SAID.items() if verdict in of]
    parts += [
        f"{record.contrast} has no verdict, for its texts have {record.veto}" for record in of.get("", ())
    ]
    if open_ := of.get(Verdict.INCONCLUSIVE):
        least, most = (choose(record.needed for record in open_) for choose in (min, max))
        needed = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        parts.append(f"of {_names(open_)} it is not known yet: {needed} prompts would tell")
    if "missing" in of:
        parts.append(f"{_names(of['missing'])} could not be compared")
    sentence = "; ".join(parts)
    return (
        f"{sentence[:1].upper()}{sentence[1:]}."
        if sentence.startswith("of ")
        else f"{sentence}." * bool(sentence)
    )


def _names(records: Sequence[ContrastResult]) -> str:
    *others, last = [record.contrast for record in records]
    return f"{', '.join(others)} and {last}" if others else last


def hypothesis(record: ContrastResult, compared: Compared, settings: Settings) -> dict[str, Any]:
    """words: which decoders it is about, and what other axes say."""
    contrast = settings.comparison.contrasts[record.contrast]
    ranges = {"q": contrast.q, "λ": contrast.lam, "r": contrast.r}
    which = [f"{name} = {ends[0]:g}" if ends[0] == ends[1] else f"{name} from {ends[0]:g} to {ends[1]:g}"
             for name, ends in ranges.items() if ends != (0, 1)]  # fmt: skip
    axes = [one for one in compared.axes if one.contrast == record.contrast and math.isfinite(one.lo)]
    up, down = sum(one.lo > 0 for one in axes), sum(one.hi < 0 for one in axes)
    others = f"; by {len(axes)} other measures: {up} better, {down} worse" if axes else ""
    return {
        **to_json(record),
        "words": f"{record.variant}{', ' * bool(which)}{', '.join(which)}{others}",
        "small": record.small,
    }


def kinds(
    settings: Settings, results: Mapping[str, Results], together: Sequence[Pooled]
) -> list[dict[str, Any]]:
    """Kinds of tasks in the order of the file. tasks: the names; rows: where a kind has several tasks, its hypotheses,
    with what became of each in every column: a task, or those that differ in the seed alone together.
    """
    found = []
    for kind in dict.fromkeys(task.kind for task in settings.tasks.values()):
        tasks = [task for task in settings.tasks.values() if task.kind == kind]
        columns = {task.name: results[task.name].measured.comparison for task in tasks}
        columns |= {
            group.name: group.compared for group in together if settings.tasks[group.tasks[0]].kind == kind
        }
        records = {
            name: {one.contrast: one for one in compared.contrasts} for name, compared in columns.items()
        }
        asked = list(dict.fromkeys(contrast for of_task in records.values() for contrast in of_task))
        found.append({
            "kind": kind, "title": TASK_KINDS[kind].title, "tasks": [task.name for task in tasks],
            "columns": list(columns),
            "about": [f"{task.model}, {task.data}, seed {task.seed}" for task in tasks],
            "rows": [{"contrast": name, "found": [records[column].get(name) for column in columns]} for name in asked]
            if len(tasks) > 1 else [],
        })  # fmt: skip
    return found


def powers(results: Results, settings: Settings) -> dict[str, Any]:
    """prompts: numbers of them; rows: of each hypothesis, what so many would find, and whether it is below Δ."""
    records = results.measured.comparison.contrasts
    tests = settings.comparison.hypotheses(settings.tasks)
    if not records:
        return {"prompts": [], "rows": []}
    prompts = [records[0].prompts * times for times in TIMES]
    rows = []
    for record in records:
        one = power(record, prompts, tests, settings.confidence)
        found = [
            f"{one.found[n]:.2g}{' ≤ Δ' * (one.found[n] <= one.delta)}" if one.found else "–"
            for n in prompts
        ]
        needed = one.missing or f"{one.needed:,}"
        about = {"contrast": one.contrast, "against": one.against, "delta": f"{one.delta:g}"}
        rows.append({**about, "found": found, "needed": needed})
    return {"prompts": prompts, "rows": rows}


def tuning(tuned: Tuned | None) -> dict[str, Any] | None:
    """families: how each one's search went; trials: for the chart. None: tuning is switched off."""
    if tuned is None:
        return None
    families, trials = [], []
    for family, found in tuned.families.items():
        test, name = found.winner.test, LOOKS[family].name
        families.append({
            "family": name, "setting": tuned_setting(family, tuned).replace("`", ""), "trials": len(found.trials),
            "ended": found.ended, "reward": with_interval(test.reward, test.lo, test.hi),
        })  # fmt: skip
        best = -math.inf
        for number, trial in enumerate(found.trials, 1):
            whole = trial.state == "complete"
            if not math.isfinite(trial.reward):
                continue
            best = max(best, trial.reward) if whole else best
            trials.append({
                "family": name, "x": number, "y": trial.reward, "best": best if math.isfinite(best) else None,
                "sure": whole, "tip": f"trial {number}: {short(trial.reward)}" + ("" if whole else ", stopped early"),
            })  # fmt: skip
    differences = [
        f"{LOOKS[one.family].name} − {LOOKS[one.rival].name}: {difference(one.difference, one.lo, one.hi)}"
        for one in tuned.differences
    ]
    split = {"tune": len(tuned.split.tune), "test": len(tuned.split.test)}
    return {"families": families, "trials": trials, "differences": differences, **split}


def minutes(costs: Mapping[str, Sequence[Mapping[str, Any]]]) -> float:
    """Of all stages that computed texts or scores."""
    return sum(cost["seconds"] for of_task in costs.values() for cost in of_task) / 60
