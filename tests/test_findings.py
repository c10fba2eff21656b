"""The sentences of `reports/findings.md`: never more than the interval allows."""

from __future__ import annotations

from typing import Any

import pytest

from random_routing.report.findings import findings, sentences, verdict
from random_routing.report.tables.records import TABLES, read_records, records_to_csv
from random_routing.settings import parse_settings
from tests import synthetic


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.01, 0.2, "better"),
        (-0.2, -0.01, "worse"),
        (-0.1, 0.2, "no difference shown"),
        (0.0, 0.2, "no difference shown"),
        (None, None, "no difference shown"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(low: Any, high: Any, word: str) -> None:
    assert verdict(low, high) == word


def record(cell: str, difference: float, p: float | None, curve: str = "temperature") -> dict[str, Any]:
    made: dict[str, Any] = {"cell": cell, "curve": curve, "difference": difference, "lo": difference - 0.1,
                            "hi": difference + 0.1, "p": p}  # fmt: skip
    return made if p is None else {**made, "p_adjusted": p}


def measured(best: dict[str, Any] | None) -> dict[str, Any]:
    matched = [
        record("one", 0.3, 0.01), record("two", 0.3, 0.06), record("three", -0.3, 0.01),
        {"cell": "four", "curve": "temperature", "missing": "outside"},
    ]  # fmt: skip
    few = {"value": None, "lo": None, "hi": None, "missing": "needs 200 examples; there are 30"}
    odd = {"value": None, "lo": None, "hi": None, "missing": "every text is empty"}
    values: dict[str, Any] = {"mauve": few, "vendi": few, "ter": {"value": 1.0}}
    one: dict[str, Any] = {"cell": "one", "family": "routing", "metrics": values}
    return {
        "examples": ["a"] * 30,
        "tune": synthetic.tuned("translation", parse_settings(synthetic.raw_params())),
        "cells": [one, {**one, "cell": "two", "metrics": {**values, "ter": odd}}],
        "likelihood": [
            {"variant": name, "route": route, "best_r": 0.002, "best_lo": 0.0, "best_hi": 0.01}
            for name, route in (("v", "q"), ("one", "random, by r"))
        ],
        "comparison": {
            "quality": "chrf", "diversity": "ead_2", "matched": matched, "best": best,
            "hypervolume": [{"family": "routing", "ratio": 0.93, "ratio_lo": 0.8, "ratio_hi": 1.1}],
        },
    }  # fmt: skip


def test_the_sentences() -> None:
    settings = parse_settings(synthetic.raw_params())
    best = {"cell": "one", "difference": 0.25, "lo": -0.05, "hi": 0.55}
    text = findings(settings, {"translation": measured(best)})
    for part in (
        "## translation", "chrF (0–100)", "30 examples", "corrected (Holm)",
        "**No difference shown** from temperature", "`one`, differs by +0.25 (-0.05 to +0.55) on the other half",
        "of the 3 of 4 decoders at a diversity that it reaches, 1 better (`one`), 1 worse, 1 with no difference shown",
        "0.93 times the area", "(0.80 to 1.10)", "likeliest under `v` (q-route alone) at r = 0.002 (0 to 0.01)",
        "likeliest under `one` (random, by r) at r = 0.002",
        "Tuned alike on 16 examples and measured on the other 16, routing (`uniform`, q = 0.1, λ = 0): "
        "**no difference shown** against temperature 0.80: +0.01 (-0.1 to +0.1) in reward",
        "has a reward of 0.3 (0.2 to 0.4) after 500 texts; the best of the grid, `g0`, -0 after 96.",
        "Missing: `mauve`, `vendi`: needs 200 examples; there are 30; `ter` (in 1 of 2 cells): every text is empty.",
    ):  # fmt: skip
        assert part in text, part
    sure = {**best, "lo": 0.05}
    assert "**Better** than temperature" in findings(settings, {"translation": measured(sure)})
    assert "**Worse** than temperature" in findings(
        settings, {"translation": measured({**best, "hi": -0.01})}
    )
    assert "**Not comparable**" in findings(settings, {"translation": measured(None)})


def test_a_quality_that_was_passed_over_is_named() -> None:
    values = synthetic.raw_params()
    found = measured(None)
    found["comparison"]["quality"] = "fluency_gap"
    text = findings(parse_settings(values), {"textgen": found})
    assert "Quality is fluency gap to human" in text
    assert "MAUVE (0–1) needs 200 examples; there are 30." in text


def test_a_search_without_intervals_or_a_grid_to_compare_with() -> None:
    """Of resamples that are all undefined."""
    settings = parse_settings(synthetic.raw_params())
    found = synthetic.whole("textgen", settings)
    for record in found["tune"]["differences"]:
        record |= {"lo": None, "hi": None}
    for cell in found["tune"]["grid"]["cells"]:
        cell["reward"] = None
    text = "\n".join(sentences(found, settings))
    assert "**no difference shown** against temperature 0.80" in text
    assert "after 500 texts; no cell of the grid has one after 96." in text


def test_missing_values_are_counted() -> None:
    records = TABLES["missing"].records(measured(None))
    assert records[-1] == {
        "metric": "ter", "cells": 1, "of": 2, "first": "two", "missing": "every text is empty",
    }  # fmt: skip
    assert records[0]["cells"] == 2


def test_tables_read_back(tmp_path: Any) -> None:
    table = TABLES["matched"]
    records = [{"task": "t", **r} for r in measured(None)["comparison"]["matched"]]
    path = tmp_path / "matched.csv"
    path.write_text(records_to_csv(records, table.columns))
    found = read_records(path)
    assert (
        found[0]["difference"] == "0.3"
        and found[3]["difference"] == ""
        and found[3]["missing"] == "outside"
    )
