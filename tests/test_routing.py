"""Law, cells and noise against hand-computed values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from pipeline.routing.cells import all_cells, distinct_decoder, representatives, routing_cells
from pipeline.routing.law import effective_rate, exploration_weight, mix, routed
from pipeline.routing.noise import PURPOSES, step_noise, uniforms
from pipeline.settings import Base, Route, Variant, load_settings

SETTINGS = load_settings(Path(__file__).parent.parent / "params.yaml")
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
    cells = {c.name: c for c in routing_cells(replace(SETTINGS, lambda_means="exploit"))}
    assert cells["routing-uniform-q0-l0.3"].r == pytest.approx(0.7)


def test_equal_laws_are_one_decoder() -> None:
    variant = Variant(Base(), UNIFORM, UNIFORM)
    assert distinct_decoder(variant, 0.1, 0.3) == distinct_decoder(variant, 0.3, 0.1)
    plausible = Variant(Base(), UNIFORM, TOP)
    assert distinct_decoder(plausible, 0.1, 0.3) != distinct_decoder(plausible, 0.3, 0.1)
    assert distinct_decoder(plausible, 0.1, 0.0) == distinct_decoder(variant, 0.1, 0.0)
    assert distinct_decoder(plausible, 1.0, 0.3) == distinct_decoder(variant, 1.0, 0.0)


def test_default_grid_counts() -> None:
    cells = all_cells(SETTINGS, SETTINGS.tasks["textgen"])
    assert len(cells) == 75 + 14 and len({c.name for c in cells}) == len(cells)
    # 15 rates uniform (temperature 1 is its r = 0) + 15 ε-greedy (greedy is its r = 0) + 20 plausible
    # (its λ = 0 column is uniform's) + 5 temperatures + 2 top-k + 3 top-p + 2 min-p
    assert len(representatives(cells)) == 15 + 15 + 20 + 5 + 2 + 3 + 2
    assert "beam-4" in {c.name for c in all_cells(SETTINGS, SETTINGS.tasks["translation"])}


def test_noise_has_an_address() -> None:
    first = step_noise(1, "textgen", "abc", 0, 16)
    assert first.shape == (5, 16) and first.min() >= 0 and first.max() < 1
    assert np.array_equal(first, step_noise(1, "textgen", "abc", 0, 64)[:, :16])  # longer texts: same start
    for other in [(2, "textgen", "abc", 0), (1, "dialogue", "abc", 0), (1, "textgen", "abd", 0)]:
        assert not np.isin(step_noise(*other, 16), first).any()
    assert not np.isin(step_noise(1, "textgen", "abc", 0, 16, cell="x"), first).any()
    with pytest.raises(ValueError, match="purpose"):
        uniforms(1, "textgen", "abc", 0, "gate", 1)


def test_noise_is_pinned() -> None:
    """These numbers are results' identity: a change of the generator must be seen."""
    assert uniforms(1, "textgen", "abc", 0, "gate_q", 2).tolist() == [
        0.8259273419186566,
        0.44221691481458947,
    ]


def test_noise_is_uniform_and_its_purposes_independent() -> None:
    """Kolmogorov–Smirnov and correlation on 200 texts; each false alarm below 1e-4."""
    noise = np.stack([step_noise(7, "t", str(i), 0, 100) for i in range(200)])  # (200, 5, 100)
    for purpose in range(len(PURPOSES)):
        assert stats.kstest(noise[:, purpose].ravel(), "uniform").pvalue > 1e-5
    correlation = np.corrcoef(noise.transpose(1, 0, 2).reshape(5, -1))
    assert np.abs(correlation[~np.eye(5, dtype=bool)]).max() < 4.5 / np.sqrt(20_000)
