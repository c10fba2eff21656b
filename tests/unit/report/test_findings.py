"""The sentences of `reports/findings.md`: never more than the interval allows."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from random_routing.report.findings import findings, sentences, verdict
from random_routing.report.input import Results
from random_routing.report.tables.small_tables import TABLES, Missing, missing, table_to_csv
from random_routing.results.compared import Best, Compared, ContrastResult, Matched, OnOtherAxes
from random_routing.results.json_form import from_json
from random_routing.results.measured import NAN, CellValues, Likelihood, Measured, Value
from random_routing.results.tuned import Tuned
from random_routing.settings import parse_settings
from tests.helpers import synthetic


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.01, 0.2, "better"),
        (-0.2, -0.01, "worse"),
        (-0.1, 0.2, "no difference shown"),
        (0.0, 0.2, "no difference shown"),
        (math.nan, math.nan, "no difference shown"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(low: float, high: float, word: str) -> None:
    assert verdict(low, high) == word


def record(cell: str, difference: float, p: float) -> Matched:
    return Matched(
        cell=cell, curve="temperature", difference=difference, lo=difference - 0.1, hi=difference + 0.1, p=p,
        p_adjusted=p,
    )  # fmt: skip


CONTRAST = ContrastResult(
    contrast="few", variant="v", against="temperature", delta=0.1, of=4, cells=3, estimate=-0.5, lo=-0.9, hi=-0.1,
    p=0.001, p_adjusted=0.009, verdict="worse", detectable=0.6, needed=900, prompts=30, texts=120,
)  # fmt: skip
SMALL = {"estimate": 0.01, "lo": -0.05, "hi": 0.07, "verdict": "equivalent"}
OTHERS = [
    replace(CONTRAST, contrast="same", against="top_p", cells=4, **SMALL),  # type: ignore[arg-type]
    replace(CONTRAST, contrast="unclear", against="base", cells=4, verdict="inconclusive", needed=1200),
    replace(CONTRAST, contrast="none", cells=0, verdict="", missing="outside"),
]  # fmt: skip
AXES = [
    OnOtherAxes(
        contrast="few", against="temperature", diversity="ead_2", quality="bleu", cells=3, lo=-2, hi=-1
    ),
    OnOtherAxes(
        contrast="few", against="temperature", diversity="distinct_2", quality="chrf", cells=3, lo=-2, hi=1
    ),
    OnOtherAxes(contrast="few", against="temperature", diversity="vendi", quality="chrf", cells=0),
]
BEST = Best(cells=("one", "two"), difference=0.25, lo=-0.05, hi=0.55, p=0.1)


def results(best: Best | None, task: str = "translation", quality: str = "chrf") -> Results:
    outside = Matched(cell="four", curve="temperature", missing="outside")
    compared = Compared(
        diversity="ead_2", quality=quality, correction="holm", contrasts=[CONTRAST, *OTHERS], axes=AXES,
        matched=[record("one", 0.3, 0.01), record("two", 0.3, 0.06), record("three", -0.3, 0.01), outside],
        against_base=[], front=[], best=best,
    )  # fmt: skip
    few = Value(NAN, NAN, NAN, "needs 200 examples; there are 30")
    values = {"mauve": few, "vendi": few, "ter": Value(1.0, NAN, NAN)}
    odd = {**values, "ter": Value(NAN, NAN, NAN, "every text is empty")}
    cells = [
        CellValues(name, "routing", "v", 0.1, 0.0, 0.1, NAN, name, 30, 1, metrics)
        for name, metrics in (("one", values), ("two", odd))
    ]
    likelihood = [
        Likelihood(name, route, [], best, 0.0, 0.01, 0.1, 0.05, 0.2)
        for name, route, best in (("v", "q", 0.002), ("one", "random, by r", 0.0))
    ]
    measured = Measured(
        task=task, examples=["a"] * 30, metrics={}, cells=cells, recovery=[], identity=[], gates=[],
        likelihood=likelihood, comparison=compared,
    )  # fmt: skip
    return Results(measured, synthetic.whole(task, parse_settings(synthetic.raw_params())).tuned)


def test_one_interval_is_one() -> None:
    raw = synthetic.raw_params()
    few = {"variant": "uniform", "against": "temperature", "tasks": ["translation"]}
    for contrasts, said in (
        ({"few": few}, "The interval holds with 95% confidence."),
        ({"few": few, "other": few}, "The 2 intervals hold together with 95% confidence."),
    ):  # fmt: skip
        raw["comparison"]["contrasts"] = contrasts
        assert said in " ".join(findings(parse_settings(raw), {"translation": results(BEST)}).split())


def test_the_sentences() -> None:
    settings = parse_settings(synthetic.raw_params())
    text = findings(settings, {"translation": results(BEST)})
    for part in (
        "## translation", "chrF (0–100)", "30 examples", "corrected (Holm)",
        "| translation | few | temperature | worse | -0.5 (-0.9 to -0.1) | 0.1 | 30 | 120 |",
        "| translation | none | temperature | missing | outside | 0.1 | 30 | 120 |",
        "`few`: **worse** than temperature at equal diversity: -0.5 (-0.9 to -0.1); 3 of 4 decoders can be compared.",
        "`same`: **equivalent** to top-p at equal diversity within 0.1 (+0.01 (-0.05 to +0.07)).",
        "`unclear`: **inconclusive** against their base decoder without routes: -0.5 (-0.9 to -0.1). This run sees "
        "differences of 0.6 and more; 1,200 prompts would settle one of 0.1.",
        "`none`: **not comparable** with temperature at equal diversity (outside).",
        "`few` by other measures: worse by `bleu`; no difference shown by `distinct_2`; not comparable by `vendi`.",
        "one half of the examples, v with q = 0.1, λ = 0, each measured on the other half, differ by +0.25 (-0.05 to",
        "of 3 of 4 single decoders at a diversity that the temperature curve reaches, 1 are better, 1 worse, and 1",
        "likeliest under `v` (q-route alone) at r = 0.002 (0 to 0.01); within 0.01 nats a token of that up to r = 0.1",
        "random steps of `one` (random, by r) cost less than 0.01 nats a token up to r = 0.1 (0.05 to 0.2), and never",
        "Exploration: tuned on 16 examples and measured on the other 16, routing (`uniform`, q = 0.1, λ-weight = 0): "
        "**no difference shown** against temperature 0.80: +0.01 (-0.1 to +0.1) in reward",
        "has a reward of 0.3 (0.2 to 0.4) after 500 texts; the best of the grid, `g0`, -0 after 96.",
        "Missing: `mauve`, `vendi`: needs 200 examples; there are 30; `ter` (in 1 of 2 cells): every text is empty.",
    ):  # fmt: skip
        assert part in text, part
    for best, answer in (
        (replace(BEST, lo=0.05), "from temperature: **better**"),
        (replace(BEST, hi=-0.01), "from temperature: **worse**"),
    ):
        assert answer in findings(settings, {"translation": results(best)})


def test_a_quality_that_was_passed_over_is_named() -> None:
    values = synthetic.raw_params()
    text = findings(parse_settings(values), {"textgen": results(None, "textgen", "fluency_gap")})
    assert "Quality is fluency gap to human" in text
    assert "MAUVE (0–1) needs 200 examples; there are 30." in text


def test_a_search_without_intervals_or_a_grid_to_compare_with() -> None:
    """Of resamples that are all undefined."""
    settings = parse_settings(synthetic.raw_params())
    tuned = synthetic.tuned("textgen", settings)
    for one in tuned["differences"]:
        one |= {"lo": None, "hi": None}
    for cell in tuned["grid"]["cells"]:
        cell["reward"] = None
    made = replace(synthetic.whole("textgen", settings), tuned=from_json(Tuned, tuned))
    text = "\n".join(sentences(made, settings))
    assert "**no difference shown** against temperature 0.80" in text
    assert "after 500 texts; no cell of the grid has one after 96." in text


def test_missing_values_are_counted() -> None:
    records = missing(results(None).measured.cells)
    assert records[-1] == Missing("ter", cells=1, of=2, first="two", missing="every text is empty")
    assert records[0].cells == 2


def test_a_table_of_records() -> None:
    tasks = parse_settings(synthetic.raw_params()).tasks
    lines = table_to_csv(TABLES["matched"], {"translation": results(None)}, tasks).splitlines()
    assert lines[0] == "task,cell,curve,quality,difference,lo,hi,p,p_adjusted,missing"
    assert lines[1] == "translation,one,temperature,chrf,0.3,0.2,0.4,0.01,0.01,"
    assert lines[4] == "translation,four,temperature,chrf,,,,,,outside"
