"""Gates open at their rate; spans have their length; schedules have their ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from random_routing.law.gates import calibrated_scale, entropy_weights, weights
from random_routing.law.noise import PATH, Source, spread, uniform
from random_routing.law.origin import Origin
from random_routing.law.schedules import values
from random_routing.settings import Gate, Schedule

TEXTS, STEPS = 4000, 50
U = np.random.Generator(np.random.Philox(3)).random((TEXTS, STEPS))


def opened(gate: Gate, rates: np.ndarray) -> np.ndarray:
    return weights(gate, rates, U) > U  # (TEXTS, STEPS)


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.75])
@pytest.mark.parametrize("gate", [Gate(), Gate("span", 3.0), Gate("span", 8.0), Gate("sequence")])
def test_the_share_of_open_steps_is_the_rate_at_every_step(gate: Gate, rate: float) -> None:
    """Texts are independent, so each step's count is binomial: 600 counts, |z| < 5.3 each, one false
    alarm in about 15,000 runs."""
    share = opened(gate, np.full(STEPS, rate)).mean(0)
    assert np.abs(share - rate).max() < 5.3 * math.sqrt(rate * (1 - rate) / TEXTS)


@pytest.mark.parametrize("kind", ["token", "span", "sequence"])
@pytest.mark.parametrize("schedule", [Schedule("linear", 1, 0), Schedule("cosine", 0.1, 1, 20)])
def test_the_rate_follows_a_schedule_under_every_gate(kind: str, schedule: Schedule) -> None:
    """Also where the rate falls faster than spans end. |z| < 5.3 at each of 300 steps."""
    rates = 0.6 * values(schedule, STEPS)
    share = opened(Gate(kind, 5.0), rates).mean(0)
    assert (np.abs(share - rates) <= 5.3 * np.sqrt(rates * (1 - rates) / TEXTS)).all()


def test_spans_are_geometric_with_their_mean() -> None:
    """χ² of the lengths 1 to 8 and the rest against (1−1/m)^(n−1)/m, starts early enough not to be
    cut off; false alarm 1e-4."""
    mean = 3.0
    states = opened(Gate("span", mean), np.full(STEPS, 0.2))
    lengths = []
    for row in states:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        starts, ends = edges[::2], edges[1::2]
        early = (starts > 0) & (starts < STEPS - 20)
        lengths += (ends - starts)[early].tolist()
    counts = np.bincount(np.minimum(lengths, 9), minlength=10)[1:]
    law = (1 - 1 / mean) ** np.arange(8) / mean
    law = np.append(law, 1 - law.sum())
    assert stats.chisquare(counts, law * counts.sum()).pvalue > 1e-4
    assert np.mean(lengths) == pytest.approx(mean, abs=0.15)


def test_a_span_of_mean_one_never_goes_on() -> None:
    states = opened(Gate("span", 1.0), np.full(STEPS, 0.4))
    assert states.any() and not (states[:, 1:] & states[:, :-1]).any()


def test_a_sequence_gate_is_open_throughout_or_never() -> None:
    states = opened(Gate("sequence"), np.full(STEPS, 0.4))
    assert (states.all(1) | ~states.any(1)).all() and 0 < states[:, 0].mean() < 1


@pytest.mark.parametrize("gate", [Gate(), Gate("span", 4.0), Gate("sequence")])
def test_a_higher_rate_opens_wherever_a_lower_one_does(gate: Gate) -> None:
    """Common noise: cells differ as little as they can."""
    low, high = (opened(gate, np.full(STEPS, rate)) for rate in (0.1, 0.3))
    assert not (low & ~high).any()


def test_entropy_weights_by_hand() -> None:
    entropy = np.array([0.0, math.log(16) / 4, math.log(16)])
    assert entropy_weights(2.0, entropy, 16).tolist() == pytest.approx([0.0, 0.5, 1.0])


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.9, 1.0])
def test_calibration_gives_the_rate_exactly(rate: float) -> None:
    entropy = np.random.Generator(np.random.Philox(1)).gamma(2.0, 1.5, 500)
    scale = calibrated_scale(rate, entropy, 50_000)
    assert entropy_weights(scale, entropy, 50_000).mean() == pytest.approx(rate, rel=1e-9)


def test_calibration_where_many_steps_have_no_entropy() -> None:
    entropy = np.array([0.0, 0.0, 0.0, 1.0])
    assert entropy_weights(calibrated_scale(0.2, entropy, 9), entropy, 9).mean() == pytest.approx(0.2)
    # at most a quarter of the steps can open
    assert entropy_weights(calibrated_scale(0.5, entropy, 9), entropy, 9).tolist() == [0, 0, 0, 1]
    assert calibrated_scale(0.5, np.zeros(4), 9) == 0.0


def test_schedules_by_hand() -> None:
    assert values(Schedule(), 3).tolist() == [1, 1, 1]
    assert values(Schedule("linear", 1, 0, 4), 6).tolist() == [1, 0.75, 0.5, 0.25, 0, 0]
    assert values(Schedule("cosine", 1, 0, 4), 6) == pytest.approx(
        [1, 0.853553, 0.5, 0.146447, 0, 0], abs=1e-6
    )
    assert values(Schedule("exponential", 1, 0.01, 4), 6) == pytest.approx(
        [1, 0.316228, 0.1, 0.0316228, 0.01, 0.01]
    )
    assert values(Schedule("linear", 0.2, 0.8, 1), 3).tolist() == pytest.approx([0.2, 0.8, 0.8])


@pytest.mark.parametrize("kind", ["linear", "cosine", "exponential"])
def test_without_a_length_the_last_step_has_the_end_value(kind: str) -> None:
    for steps in (2, 48):
        found = values(Schedule(kind, 0.9, 0.1), steps)
        assert found[0] == pytest.approx(0.9) and found[-1] == pytest.approx(0.1)
    assert values(Schedule(kind, 0.9, 0.1), 1).tolist() == [0.9]


def test_noise_of_paths_and_frozen_distributions_has_an_address() -> None:
    source = Source(1, "t", "a", 0)
    word = torch.from_numpy(source.steps(4))[[PATH[Origin.Q], PATH[Origin.LAMBDA]]]  # (2, 4)
    numbers = uniform(spread(word.flatten(), 9))
    assert torch.equal(numbers[:, :5], uniform(spread(word.flatten(), 5))), "however many are asked for"
    every = [*numbers.flatten().tolist(), *source.uniforms("frozen", 5).tolist()]
    assert len(set(every)) == len(every)
