"""What became of the hypotheses: the difference of each one with its interval, and the zone that does not matter."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from random_routing.comparison.verdicts import Verdict
from random_routing.metrics import METRICS
from random_routing.report.figures import style
from random_routing.report.input import Results
from random_routing.report.names import title, wrapped
from random_routing.results.compared import ContrastResult
from random_routing.settings import Settings

ROW, FRAME = 0.34, 0.8  # inches: a hypothesis, and what stands around a task's


def draw(results: dict[str, Results], settings: Settings, width: float) -> Figure | None:
    """A panel per task. None without hypotheses that could be compared."""
    shown = {
        task: [r for r in of_task.measured.comparison.contrasts if math.isfinite(r.estimate)]
        for task, of_task in results.items()
    }
    shown = {task: records for task, records in shown.items() if records}
    if not shown:
        return None
    heights = [FRAME + ROW * len(records) for records in shown.values()]
    figure = Figure(figsize=(width, sum(heights) + 0.3), layout="constrained")
    axes = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
    looks = {name: style.variant_look(name, i) for i, name in enumerate(settings.variants)}
    for ax, (task, records) in zip(axes, shown.items(), strict=True):
        _panel(ax, records, looks)
        quality = METRICS[results[task].measured.comparison.quality]
        about = f"difference in {quality.axis}, n = {records[0].prompts}; right is better"
        ax.set_title(
            f"{title(settings.tasks[task], settings.tasks)}\n{wrapped(about, width)}",
            loc="left" if width == style.FULL else "right",
        )
    style.legend(figure, [
        Patch(color="black", alpha=0.12, label="within Δ: does not matter"),
        Line2D([], [], color=style.GREY, marker="o", markerfacecolor="white", label="hollow: inconclusive"),
    ])  # fmt: skip
    return figure


def _panel(ax: Axes, records: Sequence[ContrastResult], looks: dict[str, style.Look]) -> None:
    places = range(len(records))[::-1]  # the first at the top
    delta = max(record.delta for record in records)
    ax.axvspan(-delta, delta, color="black", alpha=0.09, linewidth=0)
    ax.axvline(0, color="black", linewidth=0.6)
    for place, record in zip(places, records, strict=True):
        look, open_ = looks[record.variant], record.verdict == Verdict.INCONCLUSIVE
        ends = [[record.estimate - record.lo], [record.hi - record.estimate]]
        ax.errorbar(
            record.estimate, place, xerr=ends, color=look.colour, marker=look.marker, capsize=2,
            markerfacecolor="white" if open_ else look.colour,
        )  # fmt: skip
    ax.set_yticks(places, [_name(record) for record in records])
    ax.set_ylim(-0.6, len(records) - 0.4)
    ax.grid(False, axis="y")
    ax.margins(x=0.08)


def _name(record: ContrastResult) -> str:
    rival = "" if record.against == "temperature" else f", against {record.against.replace('_', '-')}"
    return f"{record.contrast}{rival}\n{record.verdict}"
