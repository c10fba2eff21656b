"""How figures and tables name metrics and routes, and write values."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

from random_routing.comparison import CURVES
from random_routing.metrics import METRICS, Metric
from random_routing.results.measured import CellValues
from random_routing.results.tuned import Tuned
from random_routing.settings import BY_R, Annealing, Route, Settings, Task, Variant
from random_routing.tasks import TASK_KINDS

MEANS = {"explore": "weight of the random route", "exploit": "weight of the model"}


def axis_label(metric: str, inches: float) -> str:
    """In as many lines as `inches` ask for."""
    return wrapped(f"{METRICS[metric].role}: {METRICS[metric].axis}", inches)


def with_better(metric: str, inches: float) -> str:
    """The axis label and, on a line of its own, which way is better."""
    return "\n".join(filter(None, (axis_label(metric, inches), which_way(METRICS[metric]))))


def panel_title(metric: str, inches: float, of: str = "") -> str:
    """of: what the panel is about beside the metric."""
    about = METRICS[metric]
    first = ", ".join(filter(None, (of, about.role, which_way(about))))
    return f"{wrapped(first, inches)}\n{wrapped(about.axis, inches)}"


def wrapped(text: str, inches: float) -> str:
    """Lines of 8-point text that fit."""
    return textwrap.fill(text, int(15 * inches), break_long_words=False)


def which_way(metric: Metric) -> str:
    """Which values are better, in words; empty where more is just more."""
    if metric.role == "sameness":
        return f"{metric.better} is more diverse"
    return f"{metric.better} is better" if metric.better and metric.role != "diversity" else ""


def with_interval(value: float, low: float, high: float, how: str = ".3g") -> str:
    """A number and its interval, which undefined resamples may leave without ends. how: a format."""
    if math.isnan(low) or math.isnan(high):
        return f"{value:{how}} (no interval)"
    return f"{value:{how}} ({low:{how}} to {high:{how}})"


def difference(value: float, low: float, high: float) -> str:
    """With its signs."""
    return with_interval(value, low, high, "+.3g")


def title(task: Task, tasks: Mapping[str, Task]) -> str:
    """Of a task: what it is, and its name where that says more."""
    others = [other for other in tasks.values() if other.kind == task.kind]
    of_kind = TASK_KINDS[task.kind].title
    return of_kind if others == [task] and task.name == task.kind else f"{of_kind}: {task.name}"


def people(task: Task) -> str:
    """What wrote a task's references: human texts, or what stands in their place."""
    return TASK_KINDS[task.kind].people


def metric_table() -> str:
    """The table of all metrics in the README: Markdown."""
    lines = ["| metric | what it is | unit | better | needs | source |", "|---|---|---|---|---|---|"]
    for m in METRICS.values():
        lines.append(f"| `{m.name}` | {m.label} | {m.unit} | {m.better} | {m.needs} | {m.source} |")
    return "\n".join(lines)


def route_name(route: str) -> str:
    """route: as the tables have it, q, λ or `BY_R`."""
    return route if route == BY_R else f"{route}-route"


def one_route(route: str) -> str:
    """For a law that takes this route and no other."""
    return route if route == BY_R else f"{route_name(route)} alone"


def tuned_setting(family: str, tuned: Tuned) -> str:
    """The best of a family in words."""
    best = tuned.families[family].winner
    if family in CURVES:
        return f"{CURVES[family]} {best.setting:.2f}"
    name = "scheduled routing" if family == "scheduled" else "routing"
    return f"{name} (`{best.variant}`, q = {best.q:.2g}, λ-weight = {best.weight:.2g})"


def setting_in_words(row: CellValues, settings: Settings) -> str:
    """A baseline's value: 0.7; of annealing 1.3 → 0.7, linear; empty where it has none."""
    for base in settings.baselines.get("annealing", ()):
        heat = base.temperature
        if isinstance(heat, Annealing) and row.cell == f"annealing-{heat.name}":
            return heat.words
    return "" if math.isnan(row.setting) else f"{row.setting:g}"


def short(value: float) -> str:
    """Three digits in as little room as they need: 0.874, 27.3, 154, 12.3k."""
    if abs(value) < 1:
        return f"{value:.3f}"
    for step, unit in ((1.0, ""), (1e3, "k"), (1e6, "M")):
        if abs(value) < 999.5 * step:
            scaled = value / step
            return f"{scaled:.{2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0}f}{unit}"
    return f"{value:.0e}"


def routes_in_words(variant: Variant, means: str) -> str:
    """What a variant draws from, and when."""
    if variant.collapses:
        rest = "(1−λ)" if means == "explore" else "λ"
        return f"{_route(variant.q_route)}; q and λ count only through r = 1 − (1−q){rest}"
    if variant.q_route == variant.lambda_route:
        routes = f"random route: {_route(variant.q_route)}"
    else:
        routes = f"random route of q: {_route(variant.q_route)}, of λ: {_route(variant.lambda_route)}"
    gates = [
        gate.kind for gate in dict.fromkeys((variant.q_gate, variant.lambda_gate)) if gate.kind != "token"
    ]
    schedules = [
        s.kind for s in dict.fromkeys((variant.q_schedule, variant.lambda_schedule)) if s.kind != "constant"
    ]
    about = [routes, *(f"{kind} gate" for kind in gates), *(f"{kind} schedule" for kind in schedules)]
    return "; ".join(about)


def _route(route: Route) -> str:
    if route.kind == "top_k":
        return f"{route.k} likeliest tokens"
    if route.kind in ("heads", "layers"):
        return f"the model without {route.drop:.0%} of its {route.kind}"
    return {"experts": "the model with random experts", "frozen": "a frozen distribution"}.get(
        route.kind, route.kind
    )


def in_number(count: int, one: str, many: str) -> str:
    """What is said of one thing, or of several: `{}` in it is their number."""
    return (one if count == 1 else many).format(count)
