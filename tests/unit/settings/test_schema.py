"""A wrong key or value ends with one line: file, key, value, what is allowed."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from random_routing.errors import SettingsError
from random_routing.metrics import METRICS
from random_routing.report.figures import style
from random_routing.settings import (
    Annealing,
    Base,
    Gate,
    Route,
    Schedule,
    Variant,
    load_settings,
    parse_settings,
)
from random_routing.settings.decoders import BASELINES
from tests.helpers import ROOT
from tests.helpers.wrong_values import FALLING, WRONG


@pytest.fixture
def raw() -> dict[str, Any]:
    return copy.deepcopy(yaml.safe_load((ROOT / "params.yaml").read_text()))


def put(raw: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("/")
    for name in parents:
        raw = raw[name]
    raw[last] = value


@pytest.mark.parametrize(
    ("path", "value", "where", "allowed"), WRONG, ids=[f"{p}={v}" for p, v, *_ in WRONG]
)
def test_wrong_value_is_named(raw: dict[str, Any], path: str, value: Any, where: str, allowed: str) -> None:
    put(raw, path, value)
    with pytest.raises(SettingsError) as error:
        parse_settings(raw, METRICS)
    message = str(error.value)
    assert message.startswith("params.yaml: ") and "\n" not in message
    assert where in message and allowed in message


def test_missing_key_is_named(raw: dict[str, Any]) -> None:
    del raw["tasks"]["dialogue"]["turns"]
    with pytest.raises(SettingsError, match=r"tasks\.dialogue\.turns is missing"):
        parse_settings(raw)


@pytest.mark.parametrize("text", ["a: [", "just text", "- 1"])
def test_what_is_not_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"params\.yaml"):
        load_settings(tmp_path / "params.yaml")


def test_default_file_is_read_whole() -> None:
    settings = load_settings(ROOT / "params.yaml", METRICS)
    assert settings.q == settings.lambdas == (0, 0.1, 0.3)
    assert settings.variants["epsilon-greedy"].base == Base(greedy=True)
    assert settings.variants["plausible"].lambda_route == Route("top_k", 20)
    assert set(settings.tasks) >= {"textgen", "dialogue", "translation", "sentiment"}


def test_bases_combine(raw: dict[str, Any]) -> None:
    raw["variants"]["uniform"]["base"] = {"temperature": 0.7, "top_p": 0.9}
    assert parse_settings(raw).variants["uniform"].base == Base(temperature=0.7, top_p=0.9)


def test_a_temperature_may_change(raw: dict[str, Any]) -> None:
    raw["variants"]["uniform"]["base"] = {"temperature": FALLING, "top_p": 0.9}
    raw["baselines"]["annealing"] = [
        FALLING,
        {"shape": "exploratory", "start": 1.2, "end": 0.1, "length": 20},
    ]
    settings = parse_settings(raw)
    assert settings.variants["uniform"].base == Base(temperature=Annealing("linear", 1.3, 0.7), top_p=0.9)
    assert settings.baselines["annealing"] == (
        Base(temperature=Annealing("linear", 1.3, 0.7)),
        Base(temperature=Annealing("exploratory", 1.2, 0.1, 20)),
    )
    raw["baselines"]["annealing"] = None
    assert parse_settings(raw).baselines["annealing"] == ()


def test_a_variant_in_full(raw: dict[str, Any]) -> None:
    raw["tune"]["variants"], raw["comparison"]["contrasts"] = "all", {}
    raw["variants"] = {
        "all": {
            "base": {"top_p": 0.9},
            "q_route": {"heads": 0.2},
            "lambda_route": {"unigram": "words.txt"},
            "q_gate": {"span": 4},
            "lambda_gate": "entropy",
            "q_schedule": {"shape": "cosine", "start": 1, "end": 0.1, "length": 20},
            "lambda_schedule": "explore_first",
            "mix": "before",
            "grid": {"q": [0, 0.1], "lambda": [0.2]},
        }
    }
    assert parse_settings(raw).variants["all"] == Variant(
        base=Base(top_p=0.9),
        q_route=Route("heads", drop=0.2),
        lambda_route=Route("unigram", file="words.txt"),
        q_gate=Gate("span", mean=4.0),
        lambda_gate=Gate("entropy"),
        q_schedule=Schedule("cosine", 1.0, 0.1, 20),
        lambda_schedule=Schedule("linear", 1.0, 0.0, 0),
        mix="before",
        q=(0.0, 0.1),
        lambdas=(0.2,),
    )


def test_what_enters_content_keys(raw: dict[str, Any]) -> None:
    """Another field, order, default or type of number would make every cell again."""
    raw["variants"]["uniform"] = {
        "base": {"temperature": 1, "top_k": 5},
        "q_route": {"heads": 0},
        "lambda_route": "frozen",
        "q_gate": {"span": 4},
        "q_schedule": {"shape": "linear", "start": 1, "end": 0},
        "grid": {"q": [0]},
    }
    assert repr(parse_settings(raw).variants["uniform"]) == (
        "Variant(base=Base(greedy=False, temperature=1.0, top_k=5, top_p=1.0, min_p=0.0, typical_p=1.0, eta=0.0), "
        "q_route=Route(kind='heads', k=0, concentration=0.0, drop=0.0, file='', digest=''), "
        "lambda_route=Route(kind='frozen', k=0, concentration=1.0, drop=0.0, file='', digest=''), "
        "q_gate=Gate(kind='span', mean=4.0, scale=0.0), lambda_gate=Gate(kind='token', mean=1.0, scale=0.0), "
        "q_schedule=Schedule(kind='linear', start=1.0, end=0.0, length=0), "
        "lambda_schedule=Schedule(kind='constant', start=1.0, end=1.0, length=0), mix='after', q=(0.0,), lambdas=())"
    )


def test_spans_that_do_not_fit(raw: dict[str, Any]) -> None:
    """At least one step lies between two spans; a gate that is always open has none."""
    raw["variants"]["uniform"] |= {"q_gate": {"span": 4}, "grid": {"q": [0, 0.8, 1]}}
    assert parse_settings(raw).variants["uniform"].q_gate.mean == 4
    raw["variants"]["uniform"]["grid"] = {"q": [0, 0.81]}
    with pytest.raises(
        SettingsError, match=r"uniform.q_gate.span = 4.0: .* at most 0.8 of the steps, not 0.81"
    ):
        parse_settings(raw)
    raw["variants"]["uniform"] |= {"q_schedule": "explore_first", "grid": {"q": [1]}}
    with pytest.raises(SettingsError, match="not 1"):
        parse_settings(raw)
    raw["lambda_means"] = "exploit"  # λ = 0.1 gives the random route 0.9
    raw["variants"]["uniform"] = {**raw["variants"]["plausible"], "lambda_gate": {"span": 4}}
    with pytest.raises(
        SettingsError, match=r"lambda_gate.span = 4.0: .* not 0.9 \(the grid's lambda = 0.1\)"
    ):
        parse_settings(raw)


def test_the_report_s_names_of_baselines_are_taken() -> None:
    """A variant of such a name would be one family with it on the page."""
    names = {look.name for look in style.FAMILY_LOOKS.values()}
    assert {name for name in names if re.fullmatch(r"[\w-]+", name)} <= set(BASELINES)
