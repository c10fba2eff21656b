"""Vega-Lite charts of what routes did, and of tuning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt

from random_routing.report.page.charts import GREY, POINT, chart, colours, finished


def curves(looks: Mapping[str, tuple[str, str]], x: Any, points: bool) -> dict[str, Any]:
    """Rows: family, line, dash, x, y, lo, hi, tip: curves with bands."""
    look = colours(looks)
    base = chart(260)
    y = alt.Y("y:Q", title="Y", scale=alt.Scale(zero=False))
    bands = base.mark_area(opacity=0.12).encode(
        x=x, y=alt.Y("lo:Q", title="Y"), y2="hi:Q", color=look["color"], detail="line:N"
    )
    lines = base.mark_line(strokeWidth=1.5).encode(
        x=x, y=y, color=look["color"], detail="line:N", strokeDash=alt.StrokeDash("dash:N", legend=None)
    )
    marks = base.mark_point(filled=True, size=25 if points else 60, opacity=1 if points else 0).encode(
        x=x, y=y, color=look["color"], shape=look["shape"],
        tooltip=[alt.Tooltip("line:N", title="curve"), alt.Tooltip("tip:N", title="value")],
    )  # fmt: skip
    return finished(alt.layer(bands, lines, marks))


def recovery(looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    lags = alt.Axis(values=[1, 2, 4, 8], format="d")
    return curves(
        looks, alt.X("x:Q", title="X", scale=alt.Scale(type="log", base=2), axis=lags), points=True
    )


def likelihood(looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Linear from 0 to 0.001, logarithmic from there."""
    rates = alt.Axis(values=[0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1], format="~g")
    scale = alt.Scale(type="symlog", constant=0.001, nice=False)
    return curves(looks, alt.X("x:Q", title="X", scale=scale, axis=rates), points=False)


def gates(looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Rows: family, cell, x (expected), y (observed / expected), lo, hi, tip."""
    look = colours(looks)
    x = alt.X("x:Q", title="X", scale=alt.Scale(type="log", nice=False))
    base = chart(260)
    expected = alt.Chart(alt.InlineData(values=[{"y": 1}])).mark_rule(color=GREY).encode(y="y:Q")
    spans = base.mark_rule(opacity=0.45).encode(x=x, y="lo:Q", y2="hi:Q", color=look["color"])
    points = base.mark_point(filled=True, size=POINT).encode(
        x=x, y=alt.Y("y:Q", title="Y", scale=alt.Scale(zero=False)), color=look["color"], shape=look["shape"],
        tooltip=[alt.Tooltip("label:N", title="decoder"), alt.Tooltip("tip:N", title="observed")],
    )  # fmt: skip
    return finished(alt.layer(expected, spans, points))


def tune(looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Rows: family, x (trial), y (reward), best (so far), sure (not stopped early), tip."""
    look = colours(looks)
    x = alt.X("x:Q", title="X", axis=alt.Axis(tickMinStep=1, format="d"))
    y = alt.Y("y:Q", title="Y", scale=alt.Scale(zero=False))
    base = chart(260)
    so_far = base.transform_filter("isValid(datum.best)").mark_line(interpolate="step-after")
    so_far = so_far.encode(x=x, y=alt.Y("best:Q", title="Y"), color=look["color"])
    points = base.mark_point(filled=True, size=POINT).encode(
        x=x, y=y, color=look["color"], shape=look["shape"],
        opacity=alt.condition("datum.sure", alt.value(1), alt.value(0.3)),
        tooltip=[alt.Tooltip("family:N", title="family"), alt.Tooltip("tip:N", title="reward")],
    )  # fmt: skip
    return finished(alt.layer(so_far, points))


def lives() -> dict[str, Any]:
    """Rows: name, dash, x, y, lo, hi, tip: curves of agents that learn; the script has their colours."""
    x = alt.X("x:Q", title="X", scale=alt.Scale(nice=False))
    y = alt.Y("y:Q", title="Y", scale=alt.Scale(zero=False))
    colour = alt.Color("name:N", title=None, legend=alt.Legend(orient="bottom", columns=5, symbolLimit=0))
    base = chart(260)
    bands = base.mark_area(opacity=0.12, clip=True)
    bands = bands.encode(x=x, y=alt.Y("lo:Q", title="Y"), y2="hi:Q", color=colour)
    dash = alt.StrokeDash(
        "dash:O", legend=None, scale=alt.Scale(domain=[0, 1, 2], range=[[1, 0], [2, 3], [6, 3]])
    )
    lines = base.mark_line(strokeWidth=1.5, clip=True).encode(x=x, y=y, color=colour, strokeDash=dash)
    marks = base.mark_point(size=60, opacity=0, clip=True).encode(
        x=x, y=y, color=colour,
        tooltip=[alt.Tooltip("name:N", title="agent"), alt.Tooltip("x:Q", title="X"), alt.Tooltip("tip:N", title="Y")],
    )  # fmt: skip
    return finished(alt.layer(bands, lines, marks))


def of_routes(looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    return {"gates": gates(looks), "recovery": recovery(looks), "likelihood": likelihood(looks)}
