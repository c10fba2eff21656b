"""How likely the human texts are under the law, over the rate r."""

from __future__ import annotations

from matplotlib.figure import Figure

from random_routing.report.figures import style
from random_routing.report.names import one_route
from random_routing.results.measured import Measured
from random_routing.settings import BY_R, Settings

STYLES = {"q": "-", BY_R: "-", "λ": ":"}
FIRST = 1e-3  # the axis is linear from 0 to here


def draw(measured: Measured, settings: Settings) -> Figure | None:
    """A curve per variant and route, with its best r marked. None where no route has a closed form."""
    records = [record for record in measured.likelihood if record.curve]
    if not records:
        return None
    looks = {name: style.variant_look(name, i) for i, name in enumerate(settings.variants)}
    figure = Figure(figsize=(style.WIDTH, 3.4), layout="constrained")
    ax = figure.subplots()
    for record in records:
        rates, values = [point.r for point in record.curve], [point.value for point in record.curve]
        low, high = [point.lo for point in record.curve], [point.hi for point in record.curve]
        look, name = looks[record.variant], f"{record.variant}, {one_route(record.route)}"
        ax.fill_between(rates, low, high, color=look.colour, alpha=0.1, linewidth=0)
        ax.plot(rates, values, STYLES[record.route], color=look.colour, label=name)
        best = max(range(len(values)), key=values.__getitem__)
        ax.plot(rates[best], values[best], look.marker, color=look.colour, markersize=6)
    ax.set_xscale("symlog", linthresh=FIRST, linscale=0.4)
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel("r, share of steps on the random route")
    ax.set_ylabel("log-likelihood (nats / token)")
    ax.set_title(
        "human texts under the law; the marker is where they are likeliest", loc="left", fontsize=9
    )
    figure.legend(loc="outside lower center", ncols=3)
    return figure
