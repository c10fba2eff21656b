"""Two runs in one page: what differs in their parameters, verdicts, curves, decoders and texts."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

import altair as alt
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from random_routing.errors import PipelineError
from random_routing.report.names import difference
from random_routing.report.page.build import embedded, library, script

HERE = Path(__file__).parent
SCRIPT = ("base", "draw", "texts", "export", "compare")
COLOURS = ("#0072B2", "#D55E00")
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
WANTED = ("tasks", "run", "by_r")


def data_in(html: str, name: str) -> dict[str, Any]:
    """What a page of `build.page` holds. name: for the error, a `PipelineError`."""
    found = DATA.search(html)
    try:
        data = json.loads(found[1]) if found else {}
    except ValueError:
        data = {}
    if lacking := [key for key in WANTED if key not in data]:
        raise PipelineError(f"{name}: its page lacks {', '.join(lacking)}: make it again (dvc repro)")
    return dict(data)


def side_by_side(names: tuple[str, str], pages: tuple[str, str]) -> str:
    """HTML. names: of the runs, as a person gave them; pages: theirs."""
    runs = [data_in(html, name) for name, html in zip(names, pages, strict=True)]
    tasks = [task for task in runs[0]["tasks"] if task in runs[1]["tasks"]]
    if not tasks:
        raise PipelineError(f"{names[0]}, {names[1]}: the runs have no task in common")
    data = {
        "runs": runs,
        "names": names,
        "charts": {"pair": _chart()},
        "by_r": runs[0]["by_r"],
        "tasks": {},
    }
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    return environment.get_template("compare.html").render(
        data=embedded(data), library=library(), script=script(SCRIPT),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        names=names, runs=runs,
        tasks=[{"name": task, "title": runs[0]["tasks"][task]["title"]} for task in tasks],
        verdicts=[row for task in tasks for row in _verdicts(task, runs)],
        changes=changes(*(run["run"]["params"] for run in runs)),
    )  # fmt: skip


def changes(one: str, other: str) -> str:
    """Lines of the parameters that differ, with the lines above that say where they stand."""
    lines = difflib.unified_diff(one.splitlines(), other.splitlines(), "A", "B", n=2, lineterm="")
    return "\n".join(lines)


def _verdicts(task: str, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each hypothesis of either run."""
    of_runs = [{one["contrast"]: one for one in run["tasks"][task]["hypotheses"]} for run in runs]
    rows = []
    for name in dict.fromkeys([*of_runs[0], *of_runs[1]]):
        pair = [of_run.get(name) for of_run in of_runs]
        verdicts = [(one.get("verdict") or "missing") if one else "not asked" for one in pair]
        estimates = [one.get("estimate") if one else None for one in pair]
        known = [value for value in estimates if value is not None]
        rows.append({
            "task": task, "contrast": name, "verdicts": verdicts, "changed": verdicts[0] != verdicts[1],
            "found": [_found(one) for one in pair],
            "moved": f"{known[1] - known[0]:+.3g}".replace("-", "−") if len(known) == 2 else "",
        })  # fmt: skip
    return rows


def _found(one: dict[str, Any] | None) -> str:
    if one is None or one.get("estimate") is None:
        return (one or {}).get("missing", "")
    ends = (one[end] if one[end] is not None else float("nan") for end in ("estimate", "lo", "hi"))
    return difference(*ends).replace("-", "−")


def _chart() -> dict[str, Any]:
    """Rows: family (the run), cell, label, routed, x, y, tip; curve: family, x, y, order, of both temperatures."""
    runs = alt.Scale(domain=["A", "B"], range=list(COLOURS))
    colour = alt.Color(
        "family:N", title=None, scale=runs, legend=alt.Legend(orient="bottom", symbolLimit=0)
    )
    x = alt.X("x:Q", title="X", scale=alt.Scale(zero=False, padding=12))
    y = alt.Y("y:Q", title="Y", scale=alt.Scale(zero=False, padding=12))
    size: dict[str, Any] = {"width": "container", "height": 380}
    lines = alt.Chart(alt.NamedData("curve")).properties(**size).mark_line(strokeWidth=1.5)
    lines = lines.encode(x=x, y=y, color=colour, order="order:Q")
    points = alt.Chart(alt.NamedData("rows")).properties(**size)
    points = points.mark_point(filled=True, size=60, cursor="pointer").encode(
        x=x, y=y, color=colour, opacity=alt.condition("datum.routed", alt.value(0.9), alt.value(0.45)),
        shape=alt.condition("datum.routed", alt.value("circle"), alt.value("square")),
        tooltip=[alt.Tooltip(f"{field}:N", title=title) for field, title in (("label", "decoder"), ("tip", "values"))],
    )  # fmt: skip
    made: dict[str, Any] = alt.layer(lines, points).to_dict(validate=True)
    return made
