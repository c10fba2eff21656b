"""The loop on a made-up reward whose best setting is known: it is found, with the same trials every time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import pytest

from random_routing.errors import SettingsError
from random_routing.law.cells import Cell, Decoder
from random_routing.resampling.intervals import Sampled
from random_routing.settings import Base, Settings, parse_settings
from random_routing.tuning.reward import Scores
from random_routing.tuning.space import families, plain, suggest
from random_routing.tuning.study import batches, new_study, rungs, search, winner
from random_routing.tuning.tune_task import Examples, differences
from tests.helpers import synthetic

EXAMPLES = 16


def settings(**tune: Any) -> Settings:
    values = synthetic.raw_params()
    return parse_settings(values | {"tune": values["tune"] | {"trials": 12, "batch": 4} | tune})


def truth(cell: Cell) -> float:
    """Best at q = 0.1, λ = 0; of temperatures at 0.8."""
    if cell.family == "temperature":
        return -abs((cell.setting or 0.0) - 0.8)
    q, lam = (math.log10(max(x or 0.0, 1e-3)) for x in (cell.q, cell.lam))
    return 1 - abs(q + 1) - 0.3 * (lam + 3)


class Fake:
    """Scores by `truth`, with noise that falls with the examples; counts."""

    def __init__(self, noise: float = 0.0) -> None:
        self.noise = noise
        self.calls: list[tuple[list[float], int]] = []

    def __call__(self, cells: Sequence[Cell], examples: int) -> dict[str, Scores]:
        self.calls.append(([truth(cell) for cell in cells], examples))
        found = {}
        for cell in cells:
            draw = np.random.Generator(np.random.Philox(round(1e9 * abs(truth(cell))) % 2**31))
            value = truth(cell) + self.noise * float(draw.normal()) / math.sqrt(examples)
            spread = Sampled(
                value, value + max(self.noise, 0.01) * draw.normal(size=400) / math.sqrt(examples), examples
            )
            found[cell.name] = Scores(spread, Sampled(0.5, np.full(400, 0.5), examples), spread)
        return found


def run(family: str = "routing", scored: Fake | None = None, **tune: Any) -> tuple[optuna.Study, str, Fake]:
    made, fake = settings(**tune), scored or Fake()

    def cell_of(trial: Any, name: str) -> Cell:
        return suggest(trial, family, made, 48, name)

    study = new_study(family, made.tune)
    why = search(study, made.tune, made.seed, plain(family, made), cell_of, fake, EXAMPLES, lambda: True)
    return study, why, fake


def trials(study: optuna.Study) -> list[Any]:
    return [
        (t.params, t.state.name, t.user_attrs["reward"], t.user_attrs["examples"])
        for t in study.get_trials()
    ]


def test_the_best_setting_is_found() -> None:
    """40 trials come within a factor 2 of q = 0.1 at λ = 0; plain sampling, the first, is far away."""
    study, why, _ = run(trials=40, variants=["uniform"])
    best = winner(study)
    assert why == "all 40 trials"
    cell = suggest(optuna.trial.FixedTrial(best.params), "routing", settings(variants=["uniform"]), 48, "x")
    assert cell.lam == 0 and cell.q is not None and 0.05 < cell.q < 0.2
    assert study.get_trials()[0].params == plain("routing", settings(variants=["uniform"]))
    study, _, _ = run(family="temperature", trials=40)
    assert winner(study).params["temperature"] == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_gives_the_same_trials(sampler: str) -> None:
    one, two = (trials(run(sampler=sampler)[0]) for _ in range(2))
    assert one == two and len(one) == 12
    values = synthetic.raw_params()
    other = parse_settings(values | {"seed": 5, "tune": values["tune"] | {"trials": 12, "batch": 4}})
    study = new_study("routing", other.tune)
    cell_of: Callable[[Any, str], Cell] = lambda trial, name: suggest(trial, "routing", other, 48, name)  # noqa: E731
    search(study, other.tune, other.seed, plain("routing", other), cell_of, Fake(), EXAMPLES, lambda: True)
    assert trials(study) != one


def test_the_worse_half_of_a_batch_stops_early() -> None:
    study, _, fake = run()
    assert [examples for _, examples in fake.calls] == [8, 16] * 3
    assert [len(values) for values, _ in fake.calls] == [4, 2] * 3
    for first, second in zip(fake.calls[::2], fake.calls[1::2], strict=True):
        assert sorted(second[0]) == sorted(first[0])[2:]
    states = [t.state.name for t in study.get_trials()]
    assert states.count("PRUNED") == states.count("COMPLETE") == 6
    _, _, all_of_them = run(rungs=1)
    assert [(len(values), examples) for values, examples in all_of_them.calls] == [(4, 16)] * 3


def test_budget_patience_and_time() -> None:
    assert batches(settings(trials=10, batch=4).tune) == [4, 4, 2]
    assert rungs(16, 3) == [4, 8, 16] and rungs(3, 4) == [2, 3]
    study, why, _ = run(trials=60, patience=2, sampler="random")
    assert why == "no better trial in 2 batches" and 12 <= len(trials(study)) < 60
    made = settings(minutes=5)
    study = new_study("routing", made.tune)
    left = iter([True, False])
    cell_of: Callable[[Any, str], Cell] = lambda trial, name: suggest(trial, "routing", made, 48, name)  # noqa: E731
    why = search(study, made.tune, 1, plain("routing", made), cell_of, Fake(), EXAMPLES, lambda: next(left))
    assert why == "5 minutes are over" and len(trials(study)) == 8
    study = new_study("routing", made.tune)  # the first batch is made in any case
    search(study, made.tune, 1, plain("routing", made), cell_of, Fake(), EXAMPLES, lambda: False)
    assert len(trials(study)) == 4 and winner(study)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_the_front_is_searched(sampler: str) -> None:
    study, _, _ = run(objective="front", sampler=sampler, trials=24)
    assert len(study.directions) == 2 and len(study.best_trials) >= 1
    assert winner(study).user_attrs["reward"] == max(t.user_attrs["reward"] for t in study.best_trials)


def test_spaces() -> None:
    made = settings()
    assert families(made) == ["routing", "scheduled", "temperature", "top_p"]
    assert families(settings(schedules=["constant"], rivals=["top_p"])) == ["routing", "top_p"]
    for family in ("routing", "scheduled", "temperature", "top_p"):  # every one begins with plain sampling
        first = plain(family, made) | {"end": 0.0}
        cell = suggest(optuna.trial.FixedTrial(first), family, made, 48, "x")
        assert cell.decoder == Decoder(Base())
    falling = {"variant": "uniform", "place of q": 1.0, "place of λ": 0.1, "end": 0.0}
    cell = suggest(optuna.trial.FixedTrial(falling), "scheduled", made, 48, "x")
    assert cell.decoder.q_schedule.kind == "linear" and cell.r == pytest.approx(0.5, abs=0.01)
    fixed = {"variant": "plausible", "place of q": 1 / 8, "place of λ": 9 / 16}
    cell = suggest(optuna.trial.FixedTrial(fixed), "routing", made, 48, "x")
    assert (cell.decoder.q, cell.decoder.lambda_route.k) == (pytest.approx(made.tune.floor), 20)
    assert cell.decoder.lam == pytest.approx(made.tune.floor**0.5)  # half way on the logarithmic scale


def test_the_splits_share_no_example() -> None:
    rows = [{"id": f"{i * 7919 % 101:03}"} for i in range(32)]
    examples = Examples.of(rows, 0.5)
    tune, test = examples.tune, examples.test
    assert len(tune) == 16 and set(tune) | set(test) == set(range(32)) and not set(tune) & set(test)
    turned = [rows[i] for i in np.random.Generator(np.random.Philox(1)).permutation(32)]
    assert {turned[i]["id"] for i in Examples.of(turned, 0.5).tune} == {rows[i]["id"] for i in tune}


def test_differences_are_paired() -> None:
    noise = np.random.Generator(np.random.Philox(2)).normal(size=1000)
    rewards = {}
    for family, value in (("routing", 1.0), ("temperature", 0.9), ("top_p", 1.2)):
        rewards[family] = Sampled(value, value + noise, 16)
    winners = {name: Decoder(Base(temperature=value.value)) for name, value in rewards.items()}
    found = {record.rival: record for record in differences(rewards, winners, settings())}
    assert found["temperature"].difference == pytest.approx(0.1) == pytest.approx(found["temperature"].lo)
    assert found["top_p"].hi == pytest.approx(-0.2)
    winners["routing"] = winners["top_p"]  # one decoder is not compared with itself
    assert [record.rival for record in differences(rewards, winners, settings())] == ["temperature"]


WRONG = [
    ({"objective": "front", "sampler": "tpe"}, None),
    ({"objective": "reward", "sampler": "nsga2"}, "tune.objective = 'reward': sampler nsga2 needs front"),
    ({"objective": "both"}, "tune.objective = 'both': must be one of"),
    ({"variants": ["nowhere"]}, "tune.variants[0] = 'nowhere': must be one of"),
    ({"variants": []}, "tune.variants = []: must be a list with at least one value"),
    ({"floor": 0}, "tune.floor = 0"),
    ({"share": 1}, "tune.share = 1"),
    ({"batch": 13}, "tune.batch = 13"),
    ({"weight": {"textgen": 1}}, "tune.weight.dialogue is missing"),
    ({"target": "mine"}, "tune.target = 'mine': must be one of"),
    ({"variants": "all"}, None),
]


@pytest.mark.parametrize(("tune", "message"), WRONG, ids=str)
def test_wrong_values_are_named(tune: dict[str, Any], message: str | None) -> None:
    if message is None:
        settings(**tune)
        return
    with pytest.raises(SettingsError) as error:
        settings(**tune)
    assert message in str(error.value) and "\n" not in str(error.value)
