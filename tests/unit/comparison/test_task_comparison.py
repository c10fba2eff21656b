"""Comparison at equal diversity: values by hand, and simulations with a known truth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from random_routing.comparison.corrected_p_values import adjusted
from random_routing.comparison.curves import NO_CURVE, Point
from random_routing.comparison.fronts import front
from random_routing.comparison.task_comparison import Comparison
from random_routing.law.cells import Cell, all_cells, representatives
from random_routing.metrics import METRICS
from random_routing.resampling.intervals import Sampled
from random_routing.resampling.weights import resample_weights
from random_routing.settings import parse_settings
from tests.helpers.workspace import params

NAN = math.nan


def point(diversity: float, quality: float, spread: float = 0.0, resamples: int = 100) -> Point:
    """Its resamples lie `spread` to either side of the value."""
    offset = np.where(np.arange(resamples) % 2 == 0, spread, -spread)
    return Point(Sampled(diversity, diversity + 0 * offset, 500), Sampled(quality, quality + offset, 500))


def test_corrections_by_hand() -> None:
    """Holm: 3·0.01, 2·0.02, 1·0.04, never falling. Benjamini–Hochberg: 3·0.01/1, 3·0.02/2, 3·0.04/3."""
    assert adjusted([0.04, 0.01, NAN, 0.02], "holm") == pytest.approx([0.04, 0.03, NAN, 0.04], nan_ok=True)
    assert adjusted([0.04, 0.01, 0.02], "fdr_bh") == pytest.approx([0.04, 0.03, 0.03])
    assert adjusted([], "holm") == [] and math.isnan(adjusted([NAN], "holm")[0])


def test_front_by_hand() -> None:
    points = {
        "a": (1.0, 5.0),
        "b": (2.0, 4.0),
        "c": (1.5, 4.0),
        "d": (3.0, NAN),
        "e": (2.0, 4.0),
        "f": (0.5, 5.0),
    }
    assert front(points) == ["a", "b", "e"]  # c and f are beaten; b and e are the same point


IDS = [f"{i:04}" for i in range(1000)]


def halves(examples: int, resamples: int) -> list[np.ndarray]:
    return [resample_weights(examples, resamples, seed) for seed in (2, 3)]


def comparison(
    truth: dict[str, tuple[float, float]],
    noise: float,
    seed: int,
    examples: int = 60,
    contrasts: Any = None,
    failing: dict[str, float] | None = None,
) -> Any:
    """A Comparison whose decoders have the given true diversity and quality; examples differ by
    shared and by own noise. `truth`: decoder → (diversity, quality); failing: decoder → twice its share of junk."""
    values, failing = params(), failing or {}
    values["comparison"] |= {"contrasts": contrasts, "delta": dict.fromkeys(values["tasks"], 0.04)}
    values["tune"]["variants"] = "all"
    values["variants"] = {"uniform": values["variants"]["uniform"]}
    values["grid"] = {"q": [0, 0.1, 0.3], "lambda": [0]}
    settings = parse_settings(values)
    task = settings.tasks["dialogue"]
    cells = [c for c in all_cells(settings, task) if c.name in truth]
    names = set(representatives(cells).values())
    distinct: list[Cell] = [c for c in cells if c.name in names]
    random = np.random.Generator(np.random.Philox(seed))
    shared = random.normal(0, noise, examples)
    stats: dict[str, dict[str, np.ndarray]] = {}
    for cell in distinct:
        diversity, quality = truth[cell.name]
        own = random.normal(0, noise, (2, examples))
        count = np.full(examples, 100.0)
        size, one = np.full(examples, 1e9), np.ones(examples)
        unique = 100 * np.clip(diversity + 0.1 * own[0], 0, 1)
        junk = np.clip(0.5 * failing.get(cell.name, 0) + 0 * own[0], 0, 1)
        stats[cell.name] = {
            "junk": np.stack([junk, one], axis=1),
            "ead_2": np.stack([unique, count, size, one], axis=1),
            "reference_similarity": np.stack([quality + shared + own[1], one], axis=1),
        }
    return Comparison(settings, task, IDS[:examples], distinct, stats, METRICS)


TRUTH = {
    "temperature-0.7": (0.4, 0.5), "temperature-1": (0.8, 0.3), "top_p-0.9": (0.55, 0.35),
    "routing-uniform-q0.1-l0": (0.6, 0.45), "routing-uniform-q0.3-l0": (0.7, 0.2),
}  # fmt: skip


def test_a_comparison_finds_the_truth() -> None:
    """With little noise: at 0.6 the temperature curve has 0.4, so +0.05; at 0.7 it has 0.35, so −0.15."""
    made = comparison(TRUTH, noise=0.01, seed=1)
    found = made.result(resample_weights(60, 1000, 1), halves(30, 1000))
    matched = {(r.cell, r.curve): r for r in found.matched}
    better = matched["routing-uniform-q0.1-l0", "temperature"]
    assert better.difference == pytest.approx(0.05, abs=0.005) and better.lo > 0.04
    assert better.p_adjusted < 0.05
    worse = matched["routing-uniform-q0.3-l0", "temperature"]
    assert worse.difference == pytest.approx(-0.15, abs=0.005) and worse.hi < 0
    # the top-p curve ends in plain sampling, p = 1: from 0.35 at 0.55 to 0.3 at 0.8
    against = matched["routing-uniform-q0.1-l0", "top_p"]
    assert against.difference == pytest.approx(0.45 - 0.34, abs=0.005)
    assert (
        found.best is not None
        and set(found.best.cells) == {"routing-uniform-q0.1-l0"}
        and found.best.lo > 0
    )
    base = {(r.cell, r.metric): r.difference for r in found.against_base}
    assert base["routing-uniform-q0.1-l0", "reference_similarity"] == pytest.approx(0.15, abs=0.01)
    assert base["routing-uniform-q0.1-l0", "ead_2"] == pytest.approx(-0.2, abs=0.01)
    on_front = {r.cell: r.share for r in found.front if r.on_front}
    assert set(on_front) == {"temperature-0.7", "temperature-1", "routing-uniform-q0.1-l0"}
    assert min(on_front.values()) > 0.99  # with so little noise hardly a resample says otherwise
    assert {r.family for r in found.front} == {"temperature", "top_p", "routing"}
    assert all(r.on_family_front for r in found.front if r.family == "top_p")  # it is alone


def test_a_family_without_a_decoder_has_no_curve() -> None:
    """Top-p would be plain sampling and temperatures above 1 alone."""
    truth = {name: point for name, point in TRUTH.items() if name != "top_p-0.9"} | {
        "temperature-1.3": (0.9, 0.1)
    }
    found = comparison(truth, noise=0.01, seed=1).result(resample_weights(60, 100, 1), halves(30, 100))
    assert {r.missing for r in found.matched if r.curve == "top_p"} == {NO_CURVE}
    assert {r.missing for r in found.matched if r.curve == "temperature"} == {""}


def test_hypotheses_are_judged_together() -> None:
    """Of both routed decoders: +0.05 and −0.15 against the temperature curve, and against their base +0.15 and −0.1."""
    about: dict[str, Any] = {"variant": "uniform", "against": "temperature"}
    contrasts = {
        "both": about, "small": about | {"r": [0.05, 0.15]}, "base": about | {"against": "base"},
        "top-p": about | {"against": "top_p"}, "none": about | {"r": [0.4, 0.5]},
        "elsewhere": about | {"tasks": ["textgen"]},
    }  # fmt: skip
    made = comparison(TRUTH, noise=0.01, seed=1, contrasts=contrasts)
    found = {r.contrast: r for r in made.result(resample_weights(60, 500, 1), halves(30, 500)).contrasts}
    assert list(found) == ["both", "small", "base", "top-p", "none"]
    for name, value, verdict, cells in (
        ("both", -0.05, "worse", 2), ("small", 0.05, "better", 1), ("base", 0.025, "equivalent", 2),
        ("top-p", -0.005, "equivalent", 2),
    ):  # fmt: skip
        record = found[name]
        assert record.estimate == pytest.approx(value, abs=0.005), name
        assert (record.verdict, record.cells, record.of, record.missing) == (verdict, cells, cells, ""), (
            name
        )
        assert record.lo < record.estimate < record.hi and record.prompts == 60 and record.delta == 0.04
    # five hypotheses of three tasks, and one of one
    assert found["top-p"].p_adjusted == pytest.approx(min(1, 16 * found["top-p"].p))
    assert found["none"].missing == "no cell of the grid has routes and rates in its ranges"


def test_other_axes_have_each_hypothesis_once() -> None:
    """A plain difference of quality is the same on each diversity."""
    about = {"variant": "uniform", "r": [0.05, 0.15]}
    contrasts = {against: about | {"against": against} for against in ("temperature", "base")}
    made = comparison(TRUTH, noise=0.01, seed=1, contrasts=contrasts)
    for of_decoder in made.stats.values():
        of_decoder["ead_1"] = of_decoder["ead_2"]
    (record,) = made.result(resample_weights(60, 500, 1), halves(30, 500)).axes
    assert (record.contrast, record.diversity, record.quality) == (
        "temperature",
        "ead_1",
        "reference_similarity",
    )
    assert record.estimate == pytest.approx(0.05, abs=0.005)


def test_junk_vetoes_what_would_be_better() -> None:
    contrasts = {"small": {"variant": "uniform", "against": "temperature", "r": [0.05, 0.15]}}
    for share, verdict, veto in (
        (0.0, "better", ""),
        (0.1, "better", ""),
        (0.4, "inconclusive", "20.0 percentage points more junk"),
    ):
        failing = {"routing-uniform-q0.1-l0": share}
        made = comparison(TRUTH, noise=0.01, seed=1, contrasts=contrasts, failing=failing)
        (found,) = made.result(resample_weights(60, 500, 1), halves(30, 500)).contrasts
        assert (found.verdict, found.veto) == (verdict, veto) and found.estimate > 0.04
    worse = {"large": contrasts["small"] | {"r": [0.25, 0.35]}}
    made = comparison(TRUTH, 0.01, 1, contrasts=worse, failing={"routing-uniform-q0.3-l0": 1.0})
    (found,) = made.result(resample_weights(60, 500, 1), halves(30, 500)).contrasts
    assert (found.verdict, found.veto) == ("worse", "")  # it needs no veto


def test_a_hypothesis_of_one_example_is_missing_with_the_reason() -> None:
    contrasts = {"both": {"variant": "uniform", "against": "temperature"}}
    made = comparison(TRUTH, noise=0.01, seed=1, examples=1, contrasts=contrasts)
    (found,) = made.result(resample_weights(1, 100, 1), []).contrasts
    assert found.verdict == "" and "standard error" in found.missing and math.isnan(found.estimate)


def test_the_result_does_not_depend_on_the_order_of_examples() -> None:
    """Up to which examples a resample draws: weights are permuted with them."""
    made = comparison(TRUTH, noise=0.05, seed=3)
    order = np.random.Generator(np.random.Philox(4)).permutation(60)
    weights = resample_weights(60, 500, 1)
    before, after = (
        made.plane(examples, weights[:, examples]).points for examples in (np.arange(60), order)
    )
    for name in TRUTH:
        assert before[name].quality.value == pytest.approx(after[name].quality.value)
        assert np.allclose(before[name].quality.resamples, after[name].quality.resamples)


def test_the_winner_is_measured_where_it_was_not_chosen() -> None:
    """Routing equal to the curve, much noise: on the half that chose it the winner gains on average, on the
    other half nothing. 60 simulations; the mean's interval of ± 4 standard errors holds 0."""
    equal = TRUTH | {"routing-uniform-q0.1-l0": (0.6, 0.4), "routing-uniform-q0.3-l0": (0.7, 0.35)}
    chosen, measured = [], []
    for seed in range(60):
        made = comparison(equal, noise=0.3, seed=seed, examples=40)
        best = made._best(halves(20, 100))
        if best is None:
            continue
        even, odd = (made._at_equal_diversity(np.arange(half, 40, 2), np.ones((1, 20))) for half in (0, 1))
        chosen.append((even[best.cells[0]].value + odd[best.cells[1]].value) / 2)
        assert best.difference == pytest.approx((odd[best.cells[0]].value + even[best.cells[1]].value) / 2)
        measured.append(best.difference)
    error = np.std(measured) / math.sqrt(len(measured))
    assert abs(np.mean(measured)) < 4 * error
    assert np.mean(chosen) > np.mean(measured) + error
