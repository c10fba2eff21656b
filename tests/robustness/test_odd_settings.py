"""Unusual settings that are allowed: the whole chain ends with a report, whatever is missing in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import evaluate, generate, plot, prepare, summarize, tune
from tests.helpers.workspace import inside, params, write_params

Values = dict[str, Any]


def one_cell(values: Values) -> None:
    values["grid"], values["baselines"] = {"q": [0], "lambda": [0]}, {}


def noise_alone(values: Values) -> None:
    values["grid"], values["baselines"] = {"q": [1], "lambda": [1]}, {"greedy": True}


def two_examples(values: Values) -> None:
    for task in values["tasks"].values():
        task["examples"] = 2


def one_token(values: Values) -> None:
    for task in values["tasks"].values():
        task["max_new_tokens"] = 1


def one_token_under_a_schedule(values: Values) -> None:
    one_token(values)
    values["variants"]["uniform"] |= {"q_schedule": {"shape": "linear", "start": 0, "end": 1}}


def gates_that_open_late(values: Values) -> None:
    late = {"shape": "linear", "start": 0, "end": 1, "length": 8}
    for gate, variant in zip(
        ("sequence", {"span": 3}, "entropy"), values["variants"].values(), strict=True
    ):
        variant |= {"q_gate": gate, "lambda_gate": gate, "q_schedule": late, "lambda_schedule": late}


def several_texts_independent_and_exploit(values: Values) -> None:
    for task in values["tasks"].values():
        task["samples"] = 3
    values["coupling"], values["lambda_means"] = "independent", "exploit"


def other_routes_mixed_before(values: Values) -> None:
    routes = ({"heads": 0.5}, {"frozen": 0.1}, "unigram")
    for route, variant in zip(routes, values["variants"].values(), strict=True):
        variant |= {"q_route": route, "base": {"temperature": 0.7, "top_p": 0.5}, "mix": "before"}
    values["variants"]["uniform"]["mix"] = "after"  # what a structural route needs


def too_few_for_the_comparison(values: Values) -> None:
    values["comparison"]["diversity"] = "vendi"


def a_front_in_no_time(values: Values) -> None:
    values["tune"] |= {
        "sampler": "nsga2",
        "objective": "front",
        "minutes": 0,
        "rivals": [],
    }
    values["tune"] |= {"rungs": 6, "share": 0.6, "target": "sampling"}


def nearly_sure(values: Values) -> None:
    values["bootstrap"] = {"resamples": 100, "confidence": 0.999}


SHORT: list[Callable[[Values], None]] = [one_cell]
ODD = [
    *SHORT, gates_that_open_late, several_texts_independent_and_exploit, a_front_in_no_time, one_token_under_a_schedule,
    other_routes_mixed_before, too_few_for_the_comparison, noise_alone, two_examples, one_token, nearly_sure,
]  # fmt: skip


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(i, id=odd.__name__, marks=[] if odd in SHORT else pytest.mark.long)
        for i, odd in enumerate(ODD)
    ],
)
def test_the_whole_chain(work: Path, number: int) -> None:
    """Each with one of the tasks, in turn."""
    change = ODD[number]
    task, values = ("translation", "textgen", "dialogue")[number % 3], params()
    values["tasks"] = {task: values["tasks"][task]}
    values["grid"] = {"q": [0, 0.1], "lambda": [0, 0.1]}
    change(values)
    write_params(work, values)
    with inside(work):
        for stage in (prepare, generate, evaluate, tune):
            stage.main([task])
        summarize.main([])
        plot.main([])
    assert (work / "reports/index.html").stat().st_size > 100_000
    assert task in (work / "reports/findings.md").read_text(encoding="utf-8")
