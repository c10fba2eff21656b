"""Numbers whose mean is 0 by the law, by hand and over many texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from random_routing.law.cells import Decoder
from random_routing.scoring.controls import controls
from random_routing.settings import Base, Gate, Route, Schedule
from tests.helpers.cell_texts import cell

UNIFORM = Route("uniform")


def test_by_hand() -> None:
    """q = 0.5, λ = 0.2: 0.6 a step. Two texts of 2 and 1 steps, 1 random step of them: 1 − 3 · 0.6. Surprise over the
    model's own steps alone: (1.5 − 1) + (0.25 − 1).
    """
    made = replace(
        cell(["a", "b"], example=np.array([0, 0]), examples=1),
        routes=[np.array([0, 2]), np.array([0])],
        model_logprobs=[np.array([-1.5, -9.0]), np.array([-0.25])],
        entropies=[np.array([1.0, 1.0]), np.array([1.0])],
    )
    routed = Decoder(Base(), 0.5, 0.2, UNIFORM, UNIFORM)
    assert np.allclose(controls(made, routed, 4), [[1 - 1.8, -0.25]])
    fading = replace(routed, q=0.5, lam=0.0, q_schedule=Schedule("linear", 1.0, 0.0, 1))  # 0.5, then 0
    assert np.allclose(controls(made, fading, 4), [[1 - 1.0, -0.25]])
    for other, expected in (
        (replace(routed, q_gate=Gate("entropy")), [0, -0.25]),  # its gates follow the text
        (replace(routed, base=Base(temperature=0.7)), [-0.8, 0]),  # drawn from another distribution
        (replace(routed, mix="before"), [0, 0]),
        (Decoder(Base(greedy=True), beams=4), [0, 0]),
    ):
        assert np.allclose(controls(made, other, 4), [expected])


def test_their_mean_is_0_though_texts_end_when_they_like() -> None:
    """A text ends at its first model token of kind 0, of probability 0.3; gates open with probability 0.25."""
    random, routes, logprobs = np.random.default_rng(1), [], []
    p, count = np.array([0.3, 0.6, 0.1]), 4000
    for _ in range(count):
        gate, token = random.random(12) < 0.25, random.choice(3, 12, p=p)
        ends = np.flatnonzero(~gate & (token == 0))
        size = ends[0] + 1 if len(ends) else 12
        routes.append(gate[:size].astype(np.int8))
        logprobs.append(np.log(p[token[:size]]))
    entropies = [np.full(len(row), -(p * np.log(p)).sum()) for row in routes]
    made = replace(cell(["x"] * count), routes=routes, model_logprobs=logprobs, entropies=entropies)
    found = controls(made, Decoder(Base(), 0.25, 0.0, UNIFORM), 12)
    assert (np.abs(found.mean(0)) < 4 * found.std(0) / np.sqrt(count)).all() and (found.std(0) > 0.5).all()
