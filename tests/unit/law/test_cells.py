"""Law, cells and noise against hand-computed values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from random_routing.law.cells import (
    Decoder,
    all_cells,
    distinct_decoder,
    gate_rates,
    mean_rate,
    representatives,
    routing_cells,
)
from random_routing.law.mixing import effective_rate, mix, routed
from random_routing.law.noise import PURPOSES, Source, uniform
from random_routing.law.origin import Origin
from random_routing.settings import Base, Gate, Route, Schedule, Variant, exploration_weight, load_settings
from random_routing.settings.schedules import PRESETS
from tests.helpers import ROOT

SETTINGS = load_settings(ROOT / "params.yaml")
UNIFORM, TOP = Route("uniform"), Route("top_k", 20)


def test_mix_by_hand() -> None:
    p, delta = torch.tensor([[0.7, 0.2, 0.1, 0.0]]), torch.full((1, 4), 0.25)
    assert mix(p, delta, 0.2).tolist()[0] == pytest.approx([0.61, 0.21, 0.13, 0.05])
    assert torch.equal(mix(p, delta, 0.0), p) and torch.equal(mix(p, delta, 1.0), delta)
    with pytest.raises(ValueError, match=r"1\.2"):
        mix(p, delta, 1.2)


def test_both_laws_by_hand() -> None:
    p, first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.5]])
    # 0.1·(0, 1) + 0.9·[0.2·(0.5, 0.5) + 0.8·(1, 0)] = (0.81, 0.19)
    assert routed(p, first, second, 0.1, 0.2).tolist()[0] == pytest.approx([0.81, 0.19])


def test_equal_routes_collapse_to_the_rate() -> None:
    p, delta = torch.tensor([[0.7, 0.2, 0.1]]), torch.full((1, 3), 1 / 3)
    for q, lam in [(0.0, 0.3), (0.3, 0.0), (0.1, 0.2), (0.2, 0.1), (1.0, 0.5)]:
        assert torch.allclose(routed(p, delta, delta, q, lam), mix(p, delta, effective_rate(q, lam)))
    assert effective_rate(0.1, 0.3) == effective_rate(0.3, 0.1) == pytest.approx(0.37)
    assert effective_rate(0, 0) == 0 and effective_rate(1, 0.5) == 1 and effective_rate(0.1, 0) == 0.1


def test_lambda_has_two_readings() -> None:
    assert exploration_weight(0.2, "explore") == 0.2
    assert exploration_weight(0.2, "exploit") == 0.8
    cells = {
        c.name: c
        for c in routing_cells(replace(SETTINGS, lambda_means="exploit"), SETTINGS.tasks["textgen"])
    }
    assert cells["routing-plausible-q0-l0.3"].r == pytest.approx(0.7)


def test_equal_laws_are_one_decoder() -> None:
    variant = Variant(Base(), UNIFORM, UNIFORM)
    assert distinct_decoder(variant, 0.1, 0.3) == distinct_decoder(variant, 0.3, 0.1)
    plausible = Variant(Base(), UNIFORM, TOP)
    assert distinct_decoder(plausible, 0.1, 0.3) != distinct_decoder(plausible, 0.3, 0.1)
    assert distinct_decoder(plausible, 0.1, 0.0) == distinct_decoder(variant, 0.1, 0.0)
    assert distinct_decoder(plausible, 1.0, 0.3) == distinct_decoder(variant, 1.0, 0.0)


SPAN, LINEAR = Gate("span", mean=3.0), Schedule("linear", 1.0, 0.5, 10)


@pytest.mark.parametrize(
    ("variant", "holds"),
    [
        (Variant(Base(), UNIFORM, UNIFORM), True),
        (Variant(Base(), UNIFORM, UNIFORM, mix="before"), True),
        (Variant(Base(), UNIFORM, UNIFORM, Gate("sequence"), Gate("sequence")), True),
        (Variant(Base(), UNIFORM, TOP), False),
        (Variant(Base(), UNIFORM, UNIFORM, SPAN), False),
        (Variant(Base(), UNIFORM, UNIFORM, SPAN, SPAN), False),  # the union of two chains is no such chain
        (Variant(Base(), UNIFORM, UNIFORM, Gate("entropy"), Gate("entropy")), False),
        (Variant(Base(), UNIFORM, UNIFORM, q_schedule=LINEAR), False),
        (Variant(Base(), UNIFORM, UNIFORM, q_schedule=LINEAR, lambda_schedule=LINEAR), False),
    ],
)
def test_where_the_law_collapses(variant: Variant, holds: bool) -> None:
    assert variant.collapses == holds
    assert (distinct_decoder(variant, 0.1, 0.3) == distinct_decoder(variant, 0.3, 0.1)) == holds


def test_gates_and_schedules_of_routes_that_are_never_taken_do_not_count() -> None:
    variant = Variant(Base(), UNIFORM, TOP, SPAN, Gate("entropy"), LINEAR, LINEAR, "before")
    assert distinct_decoder(variant, 0.0, 0.0) == Decoder(Base())
    assert distinct_decoder(variant, 0.2, 0.0) == Decoder(
        Base(), 0.2, 0.0, UNIFORM, q_gate=SPAN, q_schedule=LINEAR, mix="before"
    )
    always = Variant(Base(), UNIFORM, TOP, SPAN, Gate("entropy"))
    assert distinct_decoder(always, 1.0, 0.4) == Decoder(Base(), 1.0, 0.0, UNIFORM)


def test_the_rate_of_a_schedule_is_its_mean() -> None:
    """Over 3 steps with factors 1, 0.5, 0: q = 0.4, 0.2, 0 and λ = 0.1 throughout."""
    variant = Variant(Base(), UNIFORM, TOP, q_schedule=Schedule("linear", 1.0, 0.0, 2))
    assert mean_rate(variant, 0.4, 0.1, 3) == pytest.approx((0.46 + 0.28 + 0.1) / 3)


def test_explore_first_means_the_same_under_both_readings() -> None:
    """λ falls from its value to 0 where it means explore, and rises from it to 1 where it means exploit."""
    schedule = PRESETS["explore_first"]
    for lambda_means in ("explore", "exploit"):
        weight = exploration_weight(0.3, lambda_means)
        decoder = distinct_decoder(Variant(Base(), UNIFORM, TOP, lambda_schedule=schedule), 0.0, weight)
        weights = gate_rates(decoder, 5)[Origin.LAMBDA]
        lam = weights if lambda_means == "explore" else 1 - weights
        expected = (
            [0.3, 0.225, 0.15, 0.075, 0.0] if lambda_means == "explore" else [0.3, 0.475, 0.65, 0.825, 1]
        )
        assert lam.tolist() == pytest.approx(expected)


def test_a_variant_may_have_a_grid_of_its_own() -> None:
    names = [c.name for c in all_cells(SETTINGS, SETTINGS.tasks["textgen"]) if c.variant == "explore-first"]
    assert names == ["routing-explore-first-q0-l0.1", "routing-explore-first-q0-l0.3"]


def test_default_grid_counts() -> None:
    cells = all_cells(SETTINGS, SETTINGS.tasks["textgen"])
    assert len(cells) == 4 + 2 + 9 + 2 + 1 + 15 and len({c.name for c in cells}) == len(cells)
    # 3 rates uniform (temperature 1 is its r = 0) + 1 ε-greedy (greedy is its r = 0) + 6 plausible (its λ = 0 column is
    # uniform's) + 2 explore-first + 1 entropy + 15 baselines
    assert len(representatives(cells)) == 3 + 1 + 6 + 2 + 1 + 15
    assert "beam-4" in {c.name for c in all_cells(SETTINGS, SETTINGS.tasks["translation"])}


def test_noise_has_an_address() -> None:
    first = Source(1, "textgen", "abc", 0).steps(16)
    assert first.shape == (len(PURPOSES), 16) and first.dtype == np.int64
    assert np.array_equal(
        first, Source(1, "textgen", "abc", 0).steps(64)[:, :16]
    )  # longer texts: same start
    for other in [(2, "textgen", "abc", 0), (1, "dialogue", "abc", 0), (1, "textgen", "abd", 0)]:
        assert not np.isin(Source(*other).steps(16), first).any()
    assert not np.isin(Source(1, "textgen", "abc", 0, "x").steps(16), first).any()
    with pytest.raises(ValueError, match="purpose"):
        Source(1, "textgen", "abc", 0).words("gate", 1)


def test_noise_is_pinned() -> None:
    """These numbers are results' identity: a change of the generator must be seen."""
    source = Source(1, "textgen", "abc", 0)
    assert source.uniforms("gate_q", 2).tolist() == [0.8259273419186566, 0.44221691481458947]
    assert uniform(torch.from_numpy(source.steps(2)))[0].tolist() == source.uniforms("gate_q", 2).tolist()


def test_noise_is_uniform_and_its_purposes_independent() -> None:
    """Kolmogorov–Smirnov and correlation on 200 texts; each false alarm below 1e-4."""
    words = np.stack([Source(7, "t", str(i), 0).steps(100) for i in range(200)])  # (200, 7, 100)
    noise = uniform(torch.from_numpy(words)).numpy()
    assert noise.min() >= 0 and noise.max() < 1
    for purpose in range(len(PURPOSES)):
        assert stats.kstest(noise[:, purpose].ravel(), "uniform").pvalue > 1e-5
    correlation = np.corrcoef(noise.transpose(1, 0, 2).reshape(len(PURPOSES), -1))
    assert np.abs(correlation[~np.eye(len(PURPOSES), dtype=bool)]).max() < 4.5 / np.sqrt(20_000)
