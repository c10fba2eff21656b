"""How figures and tables name metrics and routes, and write values."""

from __future__ import annotations

from random_routing.metrics import METRICS, Metric
from random_routing.settings import BY_R


def axis_label(metric: str) -> str:
    return f"{METRICS[metric].role}: {METRICS[metric].axis}"


def with_better(metric: str) -> str:
    """The axis label and, on a line of its own, which way is better."""
    return "\n".join(filter(None, (axis_label(metric), which_way(METRICS[metric]))))


def panel_title(metric: str) -> str:
    about = METRICS[metric]
    return ", ".join(filter(None, (about.role, which_way(about)))) + f"\n{about.axis}"


def which_way(metric: Metric) -> str:
    """Which values are better, in words; empty where more is just more."""
    if metric.role == "sameness":
        return f"{metric.better} is more diverse"
    return f"{metric.better} is better" if metric.better and metric.role != "diversity" else ""


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


def short(value: float) -> str:
    """Three digits in as little room as they need: 0.874, 27.3, 154, 12.3k."""
    if abs(value) < 1:
        return f"{value:.3f}"
    for step, unit in ((1.0, ""), (1e3, "k"), (1e6, "M")):
        if abs(value) < 999.5 * step:
            scaled = value / step
            return f"{scaled:.{2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0}f}{unit}"
    return f"{value:.0e}"
