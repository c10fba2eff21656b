"""The page's charts as Vega-Lite specifications, made with Altair (Satyanarayan et al. 2017).

Data are not in them: the page holds every number once, and its script gives each chart the rows that the
controls ask for, as the named data set `rows`, with the titles of its axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt

WIDTH, HEIGHT = "container", 340
POINT = 55  # square pixels
GREY = "#888888"


def colours(looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Scales of colour and shape over the families. looks: family → (colour, shape of Vega)."""
    names = list(looks)
    colour, shape = (alt.Scale(domain=names, range=[looks[name][i] for name in names]) for i in (0, 1))
    legend = alt.Legend(orient="bottom", columns=6, symbolLimit=0)
    return {
        "color": alt.Color("family:N", title=None, scale=colour, legend=legend),
        "shape": alt.Shape("family:N", title=None, scale=shape, legend=legend),
    }


def chart(height: int = HEIGHT, name: str = "rows") -> Any:
    return alt.Chart(alt.NamedData(name)).properties(width=WIDTH, height=height)


def finished(chart: Any) -> dict[str, Any]:
    return chart.to_dict(validate=True)


def plane(looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Rows: cell, label, family, line, order, x, xlo, xhi, y, ylo, yhi, front, picked, tip; people: x, y.

    A click in the legend shows a family alone; shift and the wheel zoom, dragging moves, a double click resets.
    """
    look = colours(looks)
    x = alt.X("x:Q", title="X", scale=alt.Scale(zero=False, padding=12), axis=alt.Axis(tickCount=8))
    y = alt.Y("y:Q", title="Y", scale=alt.Scale(zero=False, padding=12), axis=alt.Axis(tickCount=7))
    over = alt.selection_point(
        name="over", on="pointerover", clear="pointerout", fields=["cell"], empty=False
    )
    families = alt.selection_point(name="families", fields=["family"], bind="legend")
    zoom = alt.selection_interval(name="zoom", bind="scales", zoom="wheel![event.shiftKey]")
    seen = alt.condition("datum.picked || over.cell === datum.cell", alt.value(0.9), alt.value(0.12))
    base = chart().transform_filter("isValid(datum.x) && isValid(datum.y)")
    cells = base.transform_filter("datum.cell !== 'human'")
    lines = cells.transform_filter("datum.line !== ''").mark_line(strokeWidth=1.2, clip=True)
    lines = lines.encode(
        x=x, y=y, color=look["color"], detail="line:N", order="order:Q",
        opacity=alt.condition(families, alt.value(0.6), alt.value(0.05)),
    )  # fmt: skip
    wide = cells.mark_rule(clip=True).encode(
        x="xlo:Q", x2="xhi:Q", y="y:Q", color=look["color"], opacity=seen
    )
    high = cells.mark_rule(clip=True).encode(
        x="x:Q", y="ylo:Q", y2="yhi:Q", color=look["color"], opacity=seen
    )
    edge = cells.transform_filter("datum.front").mark_line(
        color=GREY, strokeWidth=6, opacity=0.25, interpolate="linear", clip=True
    )
    edge = edge.encode(x="x:Q", y="y:Q", order="x:Q")
    people = chart(name="people")
    level, rise = (
        people.mark_rule(strokeDash=[2, 3], color=GREY, clip=True).encode(**{axis: f"{axis}:Q"})
        for axis in "yx"
    )
    points = (
        base.mark_point(filled=True, clip=True, cursor="pointer")
        .encode(
            x=x, y=y, color=look["color"], shape=look["shape"],
            size=alt.condition("datum.picked", alt.value(4 * POINT), alt.value(POINT)),
            stroke=alt.condition("datum.picked", alt.value("#d00000"), alt.value("transparent")),
            opacity=alt.condition(families, alt.value(0.9), alt.value(0.05)),
            tooltip=[alt.Tooltip(f"{field}:N", title=title) for field, title in TIPS],
        )
        .add_params(over, families, zoom)
    )  # fmt: skip
    return finished(alt.layer(level, rise, edge, lines, wide, high, points))


TIPS = (("label", "decoder"), ("xtip", "X"), ("ytip", "Y"), ("rtip", "r"))


def answer(looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """The part of the plane where the hypotheses are decided. Rows: as of `plane`; zone: x, y, low, high, of the
    temperature curve and around it; people: y.
    """
    look = colours(looks)
    x = alt.X("x:Q", title="X", scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(tickCount=4))
    y = alt.Y("y:Q", title="Y", scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(tickCount=5))
    zone = chart(230, "zone").mark_area(color=GREY, opacity=0.22, clip=True)
    zone = zone.encode(x=x, y=alt.Y("low:Q", title="Y"), y2="high:Q")
    people = chart(230, "people").mark_rule(strokeDash=[2, 3], color=GREY, clip=True).encode(y="y:Q")
    black = looks.get("temperature", (GREY, ""))[0]
    curve = chart(230, "zone").mark_line(color=black, strokeWidth=1.5, clip=True)
    curve = curve.encode(x=x, y=alt.Y("y:Q", title="Y"), order="x:Q")
    base = chart(230)
    others = base.transform_filter("datum.line !== '' && datum.line !== 'temperature'")
    lines = others.mark_line(strokeWidth=1.5, clip=True)
    lines = lines.encode(x=x, y=y, color=look["color"], detail="line:N", order="order:Q")
    points = base.mark_point(filled=True, opacity=1, clip=True, cursor="pointer", size=POINT).encode(
        x=x, y=y, color=look["color"], shape=look["shape"],
        tooltip=[alt.Tooltip(f"{field}:N", title=title) for field, title in TIPS],
    )  # fmt: skip
    return finished(alt.layer(zone, people, curve, lines, points))


def forest(looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Rows: contrast, family, estimate, lo, hi, delta, verdict, sure, tip: hypotheses below each other."""
    look = colours(looks)
    colour, shape = look["color"].copy(), look["shape"].copy()
    colour.legend = shape.legend = None
    base = chart(26)  # of a row; the script says of how many
    y = alt.Y("contrast:N", title=None, sort=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=150))
    zone = base.transform_calculate(low="-datum.delta").mark_bar(color=GREY, opacity=0.22, height=26)
    zone = zone.encode(x=alt.X("low:Q", title="X"), x2="delta:Q", y=y)
    zero = alt.Chart(alt.InlineData(values=[{"x": 0}])).mark_rule(color=GREY).encode(x="x:Q")
    spans = base.mark_rule(strokeWidth=2).encode(x=alt.X("lo:Q", title="X"), x2="hi:Q", y=y, color=colour)
    tips = [alt.Tooltip(f"{field}:N", title=title) for field, title in FOREST_TIPS]
    marks = {"x": alt.X("estimate:Q", title="X"), "y": y, "color": colour, "shape": shape, "tooltip": tips}
    sure = base.mark_point(filled=True, size=POINT).encode(
        **marks, opacity=alt.condition("datum.sure", alt.value(1), alt.value(0))
    )
    rings = base.mark_point(size=POINT, opacity=1, fill="transparent").encode(**marks)
    return finished(alt.layer(zone, zero, spans, sure, rings))


FOREST_TIPS = (("contrast", "hypothesis"), ("verdict", "verdict"), ("tip", "difference"))


def heatmap() -> dict[str, Any]:
    """Rows: cell, column, row (places on the axes), value, tip; curves: r, column, row (contours of r)."""
    axis: dict[str, Any] = {"grid": False, "domain": False, "ticks": False}
    place = alt.Scale(nice=False, zero=False)
    x = alt.X("left:Q", title="λ", scale=place, axis=alt.Axis(**axis))
    y = alt.Y("bottom:Q", title="q", scale=place, axis=alt.Axis(**axis))
    base = chart(300)
    cells = base.mark_rect(cursor="pointer").encode(
        x=x, x2="right:Q", y=y, y2="top:Q",
        color=alt.Color("value:Q", title="value", scale=alt.Scale(),
                        legend=alt.Legend(orient="top", gradientLength=260, titleLimit=500)),
        stroke=alt.condition("datum.picked", alt.value("#d00000"), alt.value("transparent")),
        strokeWidth=alt.value(3),
        tooltip=[alt.Tooltip(f"{field}:N", title=title) for field, title in HEAT_TIPS],
        description="about:N",
    )  # fmt: skip
    numbers = base.mark_text(fontSize=11, dy=14, cursor="pointer").encode(
        x="column:Q", y="row:Q", text="text:N",
        color=alt.condition("datum.dark", alt.value("white"), alt.value("black")),
    )  # fmt: skip
    ways = {"x": "column:Q", "y": "row:Q", "detail": "r:N", "order": "order:Q"}
    halo = chart(300, "curves").mark_line(color="white", strokeWidth=4, opacity=0.45).encode(**ways)
    curves = (
        chart(300, "curves").mark_line(color="#d00000", strokeDash=[4, 3], strokeWidth=1.4).encode(**ways)
    )
    names = chart(300, "curves").transform_filter("datum.last").mark_text(
        color="#d00000", fontSize=11, fontWeight="bold", align="left", dx=4, dy=-8, stroke="white", strokeWidth=0.4
    )  # fmt: skip
    names = names.encode(x="column:Q", y="row:Q", text="r:N")
    return finished(alt.layer(cells, halo, curves, numbers, names))


def rate(looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Rows: cell, label, family, x (r), y, lo, hi, tip, rtip, about, picked; people: y: a variant with one knob."""
    look = colours(looks)
    x = alt.X(
        "x:Q",
        title="X",
        scale=alt.Scale(type="symlog", constant=0.01, nice=False),
        axis=alt.Axis(format="~g", labelOverlap="greedy"),
    )
    y = alt.Y("y:Q", title="Y", scale=alt.Scale(zero=False))
    base = chart(260)
    people = chart(260, "people").mark_rule(strokeDash=[2, 3], color=GREY).encode(y="y:Q")
    band = base.mark_area(opacity=0.15).encode(
        x=x, y=alt.Y("lo:Q", title="Y"), y2="hi:Q", color=look["color"]
    )
    lines = base.mark_line(strokeWidth=1.5).encode(x=x, y=y, color=look["color"])
    points = base.mark_point(filled=True, opacity=1, cursor="pointer").encode(
        x=x, y=y, color=look["color"], shape=look["shape"], description="about:N",
        size=alt.condition("datum.picked", alt.value(4 * POINT), alt.value(1.5 * POINT)),
        stroke=alt.condition("datum.picked", alt.value("#d00000"), alt.value("transparent")),
        tooltip=[alt.Tooltip(f"{field}:N", title=title) for field, title in HEAT_TIPS],
    )  # fmt: skip
    return finished(alt.layer(people, band, lines, points))


HEAT_TIPS = (("label", "decoder"), ("tip", "value"), ("rtip", "r"))


def matched(looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Rows: cell, family, x (diversity), y, lo, hi, sure, tip: differences from a curve at equal diversity."""
    look = colours(looks)
    x = alt.X("x:Q", title="X", scale=alt.Scale(zero=False, padding=12), axis=alt.Axis(tickCount=6))
    base = chart(260)
    zero = alt.Chart(alt.InlineData(values=[{"y": 0}])).mark_rule(color=GREY).encode(y="y:Q")
    spans = base.mark_rule(opacity=0.45).encode(x=x, y="lo:Q", y2="hi:Q", color=look["color"])
    looks_and_tips = {
        "x": x, "y": alt.Y("y:Q", title="Y"), "color": look["color"], "shape": look["shape"],
        "tooltip": [alt.Tooltip(f"{field}:N", title=title) for field, title in MATCHED_TIPS],
    }  # fmt: skip
    sure = base.mark_point(filled=True, size=POINT).encode(
        **looks_and_tips, opacity=alt.condition("datum.sure", alt.value(1), alt.value(0))
    )
    rings = base.mark_point(size=POINT, opacity=1, cursor="pointer", fill="transparent").encode(
        **looks_and_tips
    )
    return finished(alt.layer(zero, spans, sure, rings))


MATCHED_TIPS = (("label", "decoder"), ("tip", "difference"), ("ptip", "corrected p"))


def of_decoders(looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    return {
        "answer": answer(looks),
        "forest": forest(looks),
        "plane": plane(looks),
        "heatmap": heatmap(),
        "rate": rate(looks),
        "matched": matched(looks),
    }
