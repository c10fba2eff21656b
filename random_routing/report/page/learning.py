"""The page's section on agents that learn: a table and a chart of each entry."""

from __future__ import annotations

from typing import Any

from random_routing.report.figures.learning import STYLES, limits, looks_of
from random_routing.report.tables.learning import described, name_of, table_rows
from random_routing.results.learned import Outcomes
from random_routing.settings import Settings

WINDOWS = {
    "all": "Return, all {units}",
    "last": "Return, last {last:,} {units}",
    "greedy": "Return of what was learned, without exploring",
}


def learning_section(outcomes: Outcomes, settings: Settings) -> dict[str, Any]:
    """What the frame shows of an entry."""
    entry = settings.learning[outcomes.entry]
    units = "steps" if entry.bandit else "episodes"
    rival = next(agent for agent in outcomes.agents if agent.cell == entry.against)
    return {
        "name": outcomes.entry,
        "about": described(entry),
        "against": name_of(rival),
        "windows": {key: text.format(units=units, last=entry.last) for key, text in WINDOWS.items()},
        "rows": table_rows(outcomes),
    }


def learning_rows(outcomes: Outcomes, settings: Settings) -> dict[str, Any]:
    """What the script draws of an entry: of a bandit the mean reward, else the interquartile mean with its interval."""
    entry, looks = settings.learning[outcomes.entry], looks_of(outcomes, settings)
    rows = []
    for name, agent in {name_of(agent): agent for agent in reversed(outcomes.agents)}.items():
        about = {"name": name, "dash": STYLES.index(looks[name]["linestyle"])}
        for point in agent.curve:
            ends = (point.mean, point.mean) if entry.bandit else (point.lo, point.hi)
            value = point.mean if entry.bandit else point.iqm
            y, lo, hi = (float(f"{number:.4g}") for number in (value, *ends))
            rows.append({**about, "x": point.unit, "y": y, "lo": lo, "hi": hi, "tip": f"{value:.3g}"})
    low, high = limits(outcomes)
    return {
        "rows": rows,
        "names": list(looks),
        "colours": [look["color"] for look in looks.values()],
        "x": "step" if entry.bandit else "episode",
        "y": "mean reward" if entry.bandit else "return while exploring",
        "range": [float(f"{low:.4g}"), float(f"{high:.4g}")],
    }
