"""Gate rates, the law's identity and recovery, against values worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from random_routing.errors import PipelineError
from random_routing.law.cells import Cell, routing_cells
from random_routing.metrics.metric import CellTexts
from random_routing.resampling.weights import resample_weights
from random_routing.results.measured import Identity
from random_routing.scoring.gate_rates import gate_rates, identity
from random_routing.scoring.recovery import LAGS, Judged, by_character, by_token, isolated, recovery
from random_routing.settings import BY_R, Settings, parse_settings
from random_routing.tasks import TASK_KINDS
from tests.helpers.cell_texts import cell
from tests.helpers.tiny import byte_tokenizer, metaspace_tokenizer
from tests.helpers.workspace import params


def settings(**changes: Any) -> Settings:
    values = params()
    names = ("uniform", "plausible")
    values["tune"]["variants"] = "all"
    values["variants"] = {name: values["variants"][name] for name in names}
    values["grid"] = {"q": [0, 0.1], "lambda": [0, 0.1]}
    return parse_settings(values | changes)


def texts(routes: list[list[int]], ids: list[list[int]] | None = None, **fields: Any) -> CellTexts:
    made = cell(["x"] * len(routes), example=np.arange(len(routes)), examples=len(routes))
    token_ids = ids or [[7] * len(row) for row in routes]
    arrays = [np.array(row, dtype=np.int8) for row in routes]
    return replace(made, routes=arrays, token_ids=token_ids, **fields)


def some(cells: list[Cell], made: CellTexts) -> dict[str, CellTexts]:
    return {one.name: made for one in cells}


def test_gate_rates_by_hand() -> None:
    one = settings()
    cells = routing_cells(one, one.tasks["textgen"])
    found = gate_rates(one.variants, cells, some(cells, texts([[0, 1, 0, 2], [1, 0]])), 8, 0.95)
    by_cell = {(record.cell, record.route): record for record in found}
    assert {route for cell, route in by_cell if "uniform" in cell} == {
        "random, by r"
    }  # neither q nor λ: one gate
    # plausible, q = λ = 0.1: two of six steps on the q-route, one on the λ-route
    record = by_cell["routing-plausible-q0.1-l0.1", "q"]
    assert (record.steps, record.opened, record.expected) == (6, 2, pytest.approx(0.1))
    # Clopper & Pearson for 2 of 6: 0.0433 to 0.7772
    assert (record.lo, record.hi) == (
        pytest.approx(0.04327, abs=1e-4),
        pytest.approx(0.77722, abs=1e-4),
    )
    assert by_cell["routing-plausible-q0.1-l0.1", "λ"].expected == pytest.approx(0.09)
    assert by_cell["routing-uniform-q0.1-l0.1", BY_R].expected == pytest.approx(0.19)  # one gate decides
    assert ("routing-uniform-q0.1-l0.1", "λ") not in by_cell
    assert not any(cell == "routing-uniform-q0-l0" for cell, _ in by_cell)
    assert ("routing-uniform-q0-l0.1", BY_R) in by_cell and ("routing-uniform-q0.1-l0", BY_R) not in by_cell


def test_expected_shares_follow_the_schedule_and_the_lengths() -> None:
    values = params()
    schedule = {"shape": "linear", "start": 1, "end": 0, "length": 2}
    values["tune"]["variants"] = "all"
    values["variants"] = {"fading": {**values["variants"]["uniform"], "q_schedule": schedule}}
    values["grid"] = {"q": [0.4], "lambda": [0]}
    one = parse_settings(values)
    cells = routing_cells(one, one.tasks["textgen"])
    (record,) = gate_rates(one.variants, cells, some(cells, texts([[0, 0, 0], [0]])), 8, 0.95)
    assert record.expected == pytest.approx((0.4 * 2 + 0.2 + 0.0) / 4)  # steps 0, 1, 2 and step 0 again


def gated(**changes: Any) -> tuple[Settings, list[Cell]]:
    values = params()
    values["tune"]["variants"] = "all"
    values["variants"] = {"gated": {**values["variants"]["plausible"], **changes}}
    values["grid"] = {"q": [0.2], "lambda": [0.3]}
    one = parse_settings(values)
    return one, routing_cells(one, one.tasks["textgen"])


def test_lasting_gates_are_counted_at_the_first_token_of_each_text() -> None:
    """A random route does not end a text, so texts on one are longer: of all steps they have too many."""
    one, cells = gated(q_gate="sequence")
    q, lam = gate_rates(one.variants, cells, some(cells, texts([[1] * 8, [0], [0], [2, 0]])), 8, 0.95)
    assert (q.steps, q.opened, q.expected) == (4, 1, pytest.approx(0.2))
    assert (lam.steps, lam.opened, lam.expected) == (4, 1, pytest.approx(0.8 * 0.3))


def test_gates_of_one_entropy_are_not_independent() -> None:
    one, cells = gated(q_gate="entropy", lambda_gate="entropy")
    q, lam = gate_rates(one.variants, cells, some(cells, texts([[1, 2, 0]])), 8, 0.95)
    assert q.expected == pytest.approx(0.2) and math.isnan(lam.expected) and lam.opened == 1


def test_steps_of_an_entropy_gate_are_counted_by_example() -> None:
    """Shares 1 and 0 of two examples of 4 steps: residuals ±2 about 1/2, so an error of √(2·8)/8 = 1/2, times t of one
    degree of freedom at 50 %, which is 1. Twice the texts of an example with the same steps change nothing.
    """
    one, cells = gated(q_gate="entropy")
    for repeats in (1, 2):
        made = texts([[1] * 4] * repeats + [[0] * 4] * repeats)
        made = replace(made, example=np.repeat([0, 1], repeats), examples=2)
        found = {r.route: r for r in gate_rates(one.variants, cells, some(cells, made), 8, 0.5)}["q"]
        assert (found.observed, found.lo, found.hi) == (0.5, pytest.approx(0.0), pytest.approx(1.0))
    (alone, _) = gate_rates(one.variants, cells, some(cells, texts([[1, 2, 0]])), 8, 0.5)
    assert math.isnan(alone.lo)


def test_a_law_that_collapses_on_a_grid_without_equal_rates() -> None:
    one, cells = gated(lambda_route="uniform")
    (record,) = identity(one, cells, some(cells, texts([[0]])))
    assert record.collapses and "no two cells of equal r" in record.why


def test_the_identity_is_checked_to_the_byte() -> None:
    one = settings()
    cells = routing_cells(one, one.tasks["textgen"])
    found = identity(one, cells, some(cells, texts([[0, 1], [1]])))
    assert [record.variant for record in found] == ["uniform", "plausible"]
    assert found[0].cells == ("routing-uniform-q0-l0.1", "routing-uniform-q0.1-l0")
    assert found[0].same_bytes and found[0].r == 0.1
    assert found[1] == Identity(
        variant="plausible", collapses=False, why="q and λ are separate knobs: different routes"
    )
    broken = some(cells, texts([[0, 1], [1]]))
    broken["routing-uniform-q0.1-l0"] = texts([[0, 1], [0]])
    with pytest.raises(PipelineError, match=r"l0\.1 and routing-uniform-q0\.1-l0 have the same law"):
        identity(one, cells, broken)


def test_under_independent_noise_the_law_is_compared() -> None:
    """Alike: not below 1e-4 (a false alarm once in 10,000); shifted by a standard deviation: below it."""
    one = settings(coupling="independent")
    cells = routing_cells(one, one.tasks["textgen"])
    random = np.random.Generator(np.random.Philox(1))

    def made(shift: float) -> CellTexts:
        log_probs = [random.normal(shift, 1, 20) for _ in range(200)]
        return replace(texts([[0]] * 200), model_logprobs=log_probs)

    alike = {one.name: made(0.0) for one in cells}
    assert identity(one, cells, alike)[0].p_value > 1e-4
    assert identity(one, cells, alike | {"routing-uniform-q0.1-l0": made(0.3)})[0].p_value < 1e-4


def test_isolated_random_tokens() -> None:
    """None in the 8 before and the 8 after, and 8 tokens follow."""

    def places(length: int, *random: int) -> list[int]:
        routes = np.zeros(length, dtype=np.int8)
        routes[list(random)] = 1
        return isolated(routes).tolist()

    assert places(10, 1) == [1] and places(9, 1) == []  # the text must go on for 8 tokens
    assert places(30, 3, 12) == [3, 12] and places(30, 3, 11) == []  # 9 apart, 8 apart
    assert places(40, 2, 12, 20) == [2] and places(40) == []
    assert places(20, 0) == [0]


def test_log_probabilities_by_character_and_token() -> None:
    # "B: abcd": three characters stand before the text; judge tokens "B: a" (−4) and "bcd" (−6)
    characters = by_character([(0, 4), (4, 7)], np.array([-4.0, -6.0]), 3, 4)
    assert characters.tolist() == [-4, -2, -2, -2]  # what stands before has no share
    # the generator spells " abcd" as " a", "", "bcd"; the leading space was stripped
    values = by_token(np.array([2, 2, 5]), 1, characters)
    assert values[[0, 2]].tolist() == [-4, -6] and np.isnan(values[1])


def test_recovery_sees_the_first_token_after_its_prompt() -> None:
    """ " rain fell": the judge has −1 and −9 for its two words, of 5 characters each; a translation is stripped."""
    tokenizer, judge = metaspace_tokenizer(), byte_tokenizer()
    prompt, ids = (
        tokenizer("the")["input_ids"],
        [*tokenizer(" rain fell", add_special_tokens=False)["input_ids"][1:]],
    )
    for name, text, first in (("textgen", " rain fell", -1.0), ("translation", "rain fell", -0.8)):
        values = [-0.2 if i < 5 else -1.8 for i in range(10)][-len(text) :]
        made = replace(texts([[0, 1]], [ids]), texts=[text], judge_logprobs=[np.array(values)])
        found = Judged(tokenizer, judge, TASK_KINDS[name], [prompt])(made, 0)
        assert found.tolist() == pytest.approx([first, -9.0])


def test_recovery_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte tokens and a judge of the same bytes: a token's value is the judge's own."""
    one = settings()
    cells = [c for c in routing_cells(one, one.tasks["textgen"]) if c.variant == "plausible"]
    tokenizer = byte_tokenizer()
    words = ["abcdefghij", "klmnopqrst", "uvwxyzuvéx"]  # the last has a token of no characters
    ids = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
    lengths = [len(row) for row in ids]
    judge = [np.full(length, -1.0 - i) for i, length in enumerate(lengths)]
    plain = replace(texts([[0] * n for n in lengths], ids), texts=words, judge_logprobs=judge)
    routes = [[0, 1, *[0] * (n - 2)] for n in lengths]
    routed_judge = [values.copy() for values in judge]
    routed_judge[0][[2, 3, 5, 9]] = [-9, -7, -5, -1]  # 1, 2, 4 and 8 after the random token
    routed_judge[1][[2, 3, 5, 9]] = [-6, -4, -2, -4]
    others = [word[0] + "X" + word[2:] for word in words]
    other_ids = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in others]
    routed = replace(texts(routes, other_ids), texts=others, judge_logprobs=routed_judge)
    made = some(cells, routed) | {"routing-plausible-q0-l0": plain}
    judged = Judged(tokenizer, tokenizer, TASK_KINDS["textgen"], [()] * 3)
    found = recovery(cells, made, judged, resample_weights(3, 100, 1), 0.95)
    # three decoders have routes, with the same texts; all lags are of the same events
    assert [record.lag for record in found] == list(LAGS)
    assert [record.events for record in found] == [6] * 4
    assert [record.after for record in found] == [-7.5, -5.5, -3.5, -2.5]
    assert [record.control for record in found] == [-1.5] * 4
    assert [record.difference for record in found] == [-6.0, -4.0, -2.0, -1.0]
    assert [record.places for record in found] == [2] * 4  # the decoders share them
    assert all(math.isnan(record.lo) and math.isnan(record.hi) for record in found)  # of two examples
    monkeypatch.setattr("random_routing.scoring.recovery.LEAST", 2)
    found = recovery(cells, made, judged, resample_weights(3, 100, 1), 0.95)
    assert all(record.lo <= record.difference <= record.hi for record in found)


def test_a_variant_without_an_unrouted_cell_has_no_recovery() -> None:
    one = settings()
    cells = [c for c in routing_cells(one, one.tasks["textgen"]) if c.q and c.lam]
    judged = Judged(byte_tokenizer(), byte_tokenizer(), TASK_KINDS["textgen"], [()])
    assert recovery(cells, some(cells, texts([[1, 0]])), judged, resample_weights(1, 100, 1), 0.95) == []
