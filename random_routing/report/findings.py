"""What the comparison says, in a sentence or two a task: never more than its intervals allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from random_routing.comparison import CURVES
from random_routing.metrics import METRICS
from random_routing.report.names import one_route
from random_routing.report.tables.records import missing
from random_routing.settings import Settings

HEADER = """# Does random routing help?

Written by the stage summarize from the numbers; see `reports/matched.csv` for every decoder. A difference is
the decoder's quality minus that of the temperature or top-p curve *at the same diversity*, turned so that more
is better, with its {confidence:.0%} interval. p-values are corrected ({correction}) over a task's decoders.
"""
CORRECTIONS = {"holm": "Holm", "fdr_bh": "Benjamini–Hochberg"}


def findings(settings: Settings, measured: dict[str, dict[str, Any]]) -> str:
    """Markdown. measured: task → contents of `data/metrics/<task>.json`."""
    comparison = settings.comparison
    header = HEADER.format(confidence=settings.confidence, correction=CORRECTIONS[comparison.correction])
    return "\n".join([header, *(_task(task, found, settings) for task, found in measured.items())])


def _task(task: str, found: dict[str, Any], settings: Settings) -> str:
    return "\n".join([f"## {task}\n", _what(task, found, settings), *sentences(found, settings)]) + "\n"


def _what(task: str, found: dict[str, Any], settings: Settings) -> str:
    compared = found["comparison"]
    quality, diversity = METRICS[compared["quality"]].axis, METRICS[compared["diversity"]].axis
    about = f"Quality is {quality}, diversity is {diversity}; {len(found['examples'])} examples.\n"
    passed_over = _passed_over(settings.comparison.quality[task], found)
    return f"{about}\n{passed_over}" if passed_over else about


def sentences(found: dict[str, Any], settings: Settings) -> list[str]:
    """Items of a Markdown list, the answer first. found: contents of `data/metrics/<task>.json`."""
    compared = found["comparison"]
    lines = [
        _answer(compared),
        *(_curve(family, compared["matched"], settings) for family in CURVES),
        _volume(compared["hypervolume"]),
        *(_likelihood(record) for record in found["likelihood"]),
        *_tuned(found["tune"]),
        _missing(found["cells"]),
    ]
    return [line for line in lines if line]


def _tuned(found: dict[str, Any] | None) -> list[str]:
    """Families tuned alike, on the examples that the search never saw."""
    if found is None:
        return []
    tune, test = (len(found["split"][name]) for name in ("tune", "test"))
    lines = [
        f"- Tuned alike on {tune} examples and measured on the other {test}, {_setting(record['family'], found)}: "
        f"**{verdict(record['lo'], record['hi'])}** against {_setting(record['rival'], found)}: "
        f"{_interval(record)} in reward."
        for record in found["differences"]
    ]
    return [*lines, _reached(found)]


def _reached(found: dict[str, Any]) -> str:
    """The best of all families beside the best of the grid, both on the examples that were tuned on."""
    winners = {family: own["winner"]["tune"] for family, own in found["families"].items()}
    family = max(winners, key=lambda name: winners[name]["reward"])
    grid = [cell for cell in found["grid"]["cells"] if cell["reward"] is not None]
    texts, best = (
        (found["texts"], found["grid"]["texts"]),
        max(grid, key=lambda c: c["reward"], default=None),
    )
    of_grid = (
        f"the best of the grid, `{best['cell']}`, {best['reward']:.3g}"
        if best
        else "no cell of the grid has one"
    )
    return (
        f"- On the examples that were tuned on, the best of all families, {_setting(family, found)}, has a reward of "
        f"{_three(winners[family], 'reward', '.3g')} after {texts[0]} texts; {of_grid} after {texts[1]}."
    )


def _setting(family: str, found: dict[str, Any]) -> str:
    cell = found["families"][family]["winner"]["cell"]
    if family in CURVES:
        return f"{CURVES[family]} {cell['setting']:.2f}"
    name = "scheduled routing" if family == "scheduled" else "routing"
    return f"{name} (`{cell['variant']}`, q = {cell['q']:.2g}, λ = {cell['lam']:.2g})"


def _passed_over(asked: Sequence[str], found: dict[str, Any]) -> str:
    """Why a metric that is asked for first is not the quality."""
    first = found["cells"][0]["metrics"]
    skipped = asked[: asked.index(found["comparison"]["quality"])]
    return "".join(f"{METRICS[name].axis} {first[name]['missing']}.\n" for name in skipped)


def _missing(cells: Sequence[dict[str, Any]]) -> str:
    """Metrics that no decoder has a value of, and those that some lack; `reports/missing.csv` has all."""
    decoders = [cell for cell in cells if cell["family"] != "human"]
    records = missing(decoders)
    if not records:
        return ""
    reasons: dict[str, list[str]] = {}
    for record in records:
        some = (
            "" if record["cells"] == len(decoders) else f" (in {record['cells']} of {len(decoders)} cells)"
        )
        reasons.setdefault(record["missing"], []).append(f"`{record['metric']}`{some}")
    return "- Missing: " + "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items()) + "."


def verdict(low: float | None, high: float | None) -> str:
    """better, worse or no difference shown, by whether the interval excludes 0."""
    if low is not None and low > 0:
        return "better"
    if high is not None and high < 0:
        return "worse"
    return "no difference shown"


def _answer(compared: dict[str, Any]) -> str:
    best = compared["best"]
    if best is None:
        reasons = {
            r["missing"] for r in compared["matched"] if r["curve"] == "temperature" and "missing" in r
        }
        why = f" ({'; '.join(sorted(reasons))})" if reasons else ""
        return (
            f"- **Not comparable**: no decoder with routes can be compared with the temperature curve{why}."
        )
    return (
        f"- **{verdict(best['lo'], best['hi']).capitalize()}** than temperature: the decoder that did best on one "
        f"half of the examples, `{best['cell']}`, differs by {_interval(best)} on the other half."
    ).replace("No difference shown** than", "No difference shown** from")


def _curve(family: str, matched: Sequence[dict[str, Any]], settings: Settings) -> str:
    own = [record for record in matched if record["curve"] == family]
    there = [record for record in own if "missing" not in record]
    if not own:
        return ""
    sure = [record for record in there if record["p_adjusted"] is not None]
    sure = [record for record in sure if record["p_adjusted"] < 1 - settings.confidence]
    better = [record["cell"] for record in sure if record["difference"] > 0]
    worse = [record["cell"] for record in sure if record["difference"] < 0]
    curve = f"- Against the {CURVES[family]} curve: "
    if not there:
        return f"{curve}none of {len(own)} decoders can be compared ({own[0]['missing']})."
    named = f" ({', '.join(f'`{cell}`' for cell in better[:5])})" if better else ""
    return (
        f"{curve}of the {len(there)} of {len(own)} decoders at a diversity that it reaches, {len(better)} "
        f"better{named}, {len(worse)} worse, {len(there) - len(sure)} with no difference shown."
    )


def _volume(volumes: Sequence[dict[str, Any]]) -> str:
    own = next((v for v in volumes if v["family"] == "routing" and v.get("ratio") is not None), None)
    if own is None:
        return ""
    return (
        f"- All of routing covers {own['ratio']:.2f} times the area of the quality–diversity plane that temperature "
        f"covers ({own['ratio_lo']:.2f} to {own['ratio_hi']:.2f})."
    )


def _likelihood(record: dict[str, Any]) -> str:
    if record["best_lo"] is None:  # a single text
        return ""
    return (
        f"- The human texts are likeliest under `{record['variant']}` ({one_route(record['route'])}) at "
        f"r = {record['best_r']:.2g} ({record['best_lo']:.2g} to {record['best_hi']:.2g})."
    )


def _interval(record: dict[str, Any]) -> str:
    return _three(record, "difference", "+.3g")


def _three(record: dict[str, Any], name: str, how: str) -> str:
    """A number and its interval, which undefined resamples may leave without ends."""
    if record["lo"] is None or record["hi"] is None:
        return f"{record[name]:{how}} (no interval)"
    return f"{record[name]:{how}} ({record['lo']:{how}} to {record['hi']:{how}})"
