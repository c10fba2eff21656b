"""How likely the human texts are under the law, over the rate r."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from random_routing.report.figures import style
from random_routing.report.names import one_route
from random_routing.settings import BY_R, Settings

STYLES = {"q": "-", BY_R: "-", "λ": ":"}
FIRST = 1e-3  # the axis is linear from 0 to here


def draw(records: Sequence[dict[str, str]], settings: Settings) -> Figure | None:
    """A curve a variant and route, with its best r marked. records: a task's `reports/likelihood.csv`.

    None where no route has a closed form.
    """
    if not records:
        return None
    looks = {name: style.variant_look(name, i) for i, name in enumerate(settings.variants)}
    figure = Figure(figsize=(style.WIDTH, 3.4), layout="constrained")
    ax = figure.subplots()
    for variant, route in dict.fromkeys((record["variant"], record["route"]) for record in records):
        own = [r for r in records if (r["variant"], r["route"]) == (variant, route)]
        rates, values, low, high = ([float(r[name]) for r in own] for name in ("r", "value", "lo", "hi"))
        colour = looks[variant].colour
        ax.fill_between(rates, low, high, color=colour, alpha=0.1, linewidth=0)
        ax.plot(rates, values, STYLES[route], color=colour, label=f"{variant}, {one_route(route)}")
        best = max(range(len(values)), key=values.__getitem__)
        ax.plot(rates[best], values[best], looks[variant].marker, color=colour, markersize=6)
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
