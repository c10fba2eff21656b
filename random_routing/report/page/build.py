"""From the metrics files to the page: its data as one JSON text, its frame by Jinja2."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from random_routing.comparison import CURVES
from random_routing.metrics import METRICS
from random_routing.report import selection
from random_routing.report.figures import style
from random_routing.report.figures.captions import stands_on
from random_routing.report.figures.plane_series import all_series, curve, near
from random_routing.report.figures.recovery import FEWEST
from random_routing.report.figures.tuning import LOOKS
from random_routing.report.findings import sentences
from random_routing.report.input import Results
from random_routing.report.names import MEANS, difference, people, routes_in_words, setting_in_words, title
from random_routing.report.page.charts import of_decoders
from random_routing.report.page.contours import contours
from random_routing.report.page.learning import learning_rows, learning_section
from random_routing.report.page.route_charts import lives, of_routes, tune
from random_routing.report.page.sections import hypothesis, in_short, kinds, minutes, powers, tuning
from random_routing.report.tables.small_tables import missing
from random_routing.results.compared import Compared, Matched
from random_routing.results.json_form import to_json
from random_routing.results.learned import Outcomes
from random_routing.results.measured import CellValues, GateRate
from random_routing.results.pooled import Pooled
from random_routing.settings import BY_R, Schedule, Settings

HERE = Path(__file__).parent
SCRIPT = (
    "base",
    "draw",
    "pick",
    "plane",
    "rates",
    "scores",
    "texts",
    "tables",
    "learning",
    "export",
    "download",
    "answer",
    "address",
    "start",
)
SHAPES = {
    "o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down", "<": "triangle-left",
    ">": "triangle-right", "P": "cross", "X": "M-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0L-1,-.6Z",
    "p": "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z",
    "d": "M0,-1.2L.65,0L0,1.2L-.65,0Z",
    "*": "M0,-1.3L.3,-.4L1.24,-.4L.48,.15L.76,1.05L0,.5L-.76,1.05L-.48,.15L-1.24,-.4L-.3,-.4Z",
}  # fmt: skip


def page(
    settings: Settings,
    results: dict[str, Results],
    samples: dict[str, dict[str, Any]],
    costs: dict[str, list[dict[str, Any]]],
    about: dict[str, Any],
    together: Sequence[Pooled] = (),
    learned: Sequence[Outcomes] = (),
) -> str:
    """HTML. samples: task → `task_samples`; costs: task → what its stages took; about: `about.about`; together: tasks
    that differ in the seed alone; learned: of agents that learn.
    """
    tasks = {task: _task(settings, of_task, samples[task]) for task, of_task in results.items()}
    looks = _looks(settings, results)
    data = {
        "tasks": tasks,
        "charts": of_decoders(looks)
        | of_routes(looks)
        | {"tune": tune(_shaped(LOOKS.values())), "learning": lives()},
        "learning": {of.entry: learning_rows(of, settings) for of in learned},
        "curves": CURVES,
        "confidence": settings.confidence,
        "means": MEANS[settings.lambda_means],
        "fewest": FEWEST,
        "by_r": BY_R,
        "run": {key: about[key] for key in ("revision", "machine", "params")},
    }
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    return environment.get_template("page.html").render(
        data=embedded(data), library=library(),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=script(SCRIPT),
        kinds=kinds(settings, results, together),
        tasks=[{"name": task, **contents} for task, contents in tasks.items()],
        costs=costs, minutes=minutes(costs), about=about, confidence=settings.confidence,
        learned=[learning_section(of, settings) for of in learned],
        exploit=settings.lambda_means == "exploit", curves=CURVES,
        number=lambda *ends: difference(*ends).replace("-", "−"),
    )  # fmt: skip


def library() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, safe inside a script element."""
    script = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub forgets the default
    return script.replace("</script", "<\\/script")


def script(names: Sequence[str]) -> str:
    """A page's own, of its parts, which share one scope."""
    parts = [(HERE / "script" / f"{name}.js").read_text(encoding="utf-8") for name in names]
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


def embedded(data: Any) -> str:
    """JSON that is safe inside a script element: no character there can end it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _looks(settings: Settings, results: dict[str, Results]) -> dict[str, tuple[str, str]]:
    """Family → colour and shape, in the order of the legend."""
    families = {cell.family for of_task in results.values() for cell in of_task.measured.cells}
    looks = [look for family, look in style.FAMILY_LOOKS.items() if family in families]
    looks += [style.variant_look(name, i) for i, name in enumerate(settings.variants)]
    writers = {people(task) for task in settings.tasks.values()}
    return _shaped(looks) | dict.fromkeys(sorted(writers), ("#D8B800", SHAPES[style.HUMAN.marker]))


def _shaped(looks: Iterable[style.Look]) -> dict[str, tuple[str, str]]:
    return {look.name: (look.colour, SHAPES[look.marker]) for look in looks}


def _task(settings: Settings, results: Results, samples: dict[str, Any]) -> dict[str, Any]:
    measured, compared = results.measured, results.measured.comparison
    rows = measured.cells
    return {
        "title": title(settings.tasks[measured.task], settings.tasks),
        "about": stands_on(settings, measured),
        "hypotheses": [hypothesis(record, compared, settings) for record in compared.contrasts],
        "in_short": in_short(compared.contrasts),
        "best": _best(rows, compared, settings),
        "delta": settings.comparison.delta[measured.task],
        "near": to_json(near(measured, settings)),
        "curve": _temperatures(results, settings),
        "writers": people(settings.tasks[measured.task]),
        "people": {metric: _number(selection.human_value(rows, metric)) for metric in measured.metrics},
        "examples": len(measured.examples),
        "sentences": [marked(sentence) for sentence in sentences(results, settings)],
        "diversity": compared.diversity,
        "quality": compared.quality,
        "metrics": {
            name: {**to_json(measured.metrics[name]), **_named(name)}
            for name in settings.metrics
            if name in measured.metrics
        },
        "cells": _cells(rows, settings, people(settings.tasks[measured.task])),
        "variants": [
            _variant(name, cells, settings) for name, cells in selection.variants_in(rows).items()
        ],
        "matched": _with_family(compared.matched, rows),
        "gates": _with_family(measured.gates, rows),
        "recovery": to_json(measured.recovery),
        "likelihood": to_json(measured.likelihood),
        "missing": to_json(missing([cell for cell in rows if cell.decoded])),
        "power": powers(results, settings),
        "tuning": tuning(results.tuned),
        "samples": samples,
    }


def _best(rows: Sequence[CellValues], compared: Compared, settings: Settings) -> str:
    """The decoder of the best quality, in words; empty where quality has no direction."""
    quality = METRICS[compared.quality]
    known = [row for row in rows if row.decoded and math.isfinite(row.get(quality.name).value)]
    if not known or quality.better not in ("higher", "lower"):
        return ""
    up = 1 if quality.better == "higher" else -1
    best = max(known, key=lambda row: up * row.get(quality.name).value)
    value, diversity = (best.get(name).value for name in (quality.name, compared.diversity))
    return f"{_in_words(best, settings)}, {value:.3g} at diversity {diversity:.3g}"


def _temperatures(results: Results, settings: Settings) -> list[list[float | None]]:
    """The temperature curve on the comparison's axes: diversity and quality of its places."""
    rows, compared = results.measured.cells, results.measured.comparison
    series = next((family for family in all_series(rows, settings) if family.equivalent), None)
    places = curve(series.rows, compared.diversity, compared.quality).tolist() if series else []
    return [[_number(x), _number(y)] for x, y in places]


def _named(metric: str) -> dict[str, Any]:
    known = METRICS[metric]
    return {
        "name": known.axis,
        "short": known.short or known.name,
        "role": known.role,
        "log": known.log_axis,
    }


def _family(row: CellValues) -> str:
    if row.family == "routing":
        return row.variant
    return style.FAMILY_LOOKS[row.family].name


def _in_words(row: CellValues, settings: Settings) -> str:
    """A decoder's family and its rates or setting: "temperature 0.7", "plausible, λ = 0.3"."""
    if row.family != "routing":
        return f"{_family(row)} {setting_in_words(row, settings)}".rstrip()
    name = row.variant.replace("epsilon", "ε")
    if row.r == 0:
        return f"{name}, no random route"
    if settings.variants[row.variant].collapses:
        return f"{name}, r = {row.r:.3g}"
    never = {"explore": 0.0, "exploit": 1.0}[settings.lambda_means]  # the λ at which its route is not taken
    knobs = (("q", row.q, 0.0), ("λ", row.lam, never))
    return ", ".join([name, *(f"{knob} = {value:.3g}" for knob, value, off in knobs if value != off)])


def _cells(rows: Sequence[CellValues], settings: Settings, writers: str) -> list[dict[str, Any]]:
    """Every row of the table; `line` and `order`: which curve it lies on, and where. writers: of the references."""
    place: dict[str, tuple[str, float]] = {}
    for family, members in selection.baselines_in(rows).items():
        place |= {row.cell: (family if len(members) > 1 else "", row.setting) for row in members}
        if family == "greedy":  # the temperature curve's T = 0
            place |= {row.cell: ("temperature", 0.0) for row in members}
    for name, members in selection.variants_in(rows).items():
        for line in selection.lines(members, settings.variants[name], settings.lambda_means):
            if line.knob:
                label = f"{name}, {line.knob}" if line.knob == "r" else f"{name}, {line.knob} alone"
                place |= {row.cell: (label, row.r) for row in line.rows if row.cell not in place}
    return [
        {
            "cell": row.cell, "label": writers if row.family == "human" else _in_words(row, settings),
            "family": writers if row.family == "human" else _family(row), "variant": row.variant, "q": _number(row.q),
            "lambda": _number(row.lam), "r": _number(row.r), "setting": _number(row.setting), "decoder": row.decoder,
            "line": place.get(row.cell, ("", 0))[0], "order": _number(place.get(row.cell, ("", 0))[1]),
            "values": {
                metric: [_number(v.value), _number(v.lo), _number(v.hi)] for metric, v in row.metrics.items()
                if math.isfinite(v.value)
                and not (row.family == "human" and METRICS[metric].against_human)
            },
        }
        for row in rows
    ]  # fmt: skip


def _variant(name: str, rows: Sequence[CellValues], settings: Settings) -> dict[str, Any]:
    """steps: one cell per distinct decoder, in the order of r, along the variant's first line."""
    qs, lambdas = (sorted({getattr(row, knob) for row in rows}) for knob in ("q", "lam"))
    variant, means = settings.variants[name], settings.lambda_means
    first = selection.lines(rows, variant, means)[0]
    steady = variant.q_schedule == variant.lambda_schedule == Schedule()  # else r is a mean over the steps
    return {
        "name": name, "collapses": variant.collapses, "note": routes_in_words(variant, means), "routes": variant.routes,
        "q": qs, "lambda": lambdas,
        "contours": contours(qs, lambdas, means) if steady else [], "steps": [row.cell for row in first.rows],
    }  # fmt: skip


def _with_family(
    records: Sequence[Matched] | Sequence[GateRate], rows: Sequence[CellValues]
) -> list[dict[str, Any]]:
    families = {row.cell: _family(row) for row in rows if row.family != "human"}
    return [{**to_json(record), "family": families[record.cell]} for record in records]


def _number(value: float) -> float | None:
    """To 6 significant digits, as in the tables."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def marked(sentence: str) -> str:
    """A sentence of the findings as HTML: escaped, then **bold** and `code`."""
    safe = html.escape(sentence.removeprefix("- ").strip())
    safe = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", safe)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", safe)
