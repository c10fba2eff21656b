"""What a number of prompts can show, from the standard errors of the last run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from random_routing.comparison.verdicts import detectable, needed
from random_routing.results.compared import ContrastResult


@dataclass(frozen=True)
class Power:
    """Of a hypothesis. found: the least difference that each number of prompts finds with a chance of 80 %; needed:
    prompts with which a difference of `delta` is found, and one of 0 is called equivalent, each with that chance.
    """

    contrast: str
    against: str
    delta: float
    found: dict[int, float]
    needed: int
    missing: str = ""


def power(record: ContrastResult, prompts: Sequence[int], tests: int, confidence: float) -> Power:
    """A standard error falls with the root of the number of prompts; the texts of each are as many as in the run."""
    about = (record.contrast, record.against, record.delta)
    if not math.isfinite(record.error):
        return Power(*about, {}, 0, record.missing or "no standard error")
    found = {
        count: detectable(record.error * math.sqrt(record.prompts / count), count, tests, confidence)
        for count in prompts
    }
    return Power(*about, found, needed(record.error, record.prompts, record.delta, tests, confidence))


def table(task: str, powers: Sequence[Power], prompts: Sequence[int]) -> str:
    """Text in columns. A * marks differences that a run of this size finds though they are below Δ."""
    head = [task, "against", "Δ", *(f"{count:,}" for count in prompts), "settles Δ"]
    rows = [head]
    for one in powers:
        if one.missing:
            rows.append([one.contrast, one.against, f"{one.delta:g}", one.missing])
            continue
        found = [f"{one.found[count]:.2g}{'*' * (one.found[count] <= one.delta)}" for count in prompts]
        rows.append([one.contrast, one.against, f"{one.delta:g}", *found, f"{one.needed:,}"])
    widths = [max(len(row[i]) for row in rows if len(row) == len(head)) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    )
