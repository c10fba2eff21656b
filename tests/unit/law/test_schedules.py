"""Temperatures that change over the steps, against values by hand and the formula of the source."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from random_routing.law.cells import Decoder, all_cells, distinct_decoder, representatives
from random_routing.law.schedules import simplest, spelt_out, step_bases, values
from random_routing.settings import Annealing, Base, Route, Variant, load_settings
from tests.helpers import ROOT

SETTINGS = load_settings(ROOT / "params.yaml")
FALLING = Annealing("linear", 1.3, 0.7)


def test_temperatures_by_hand() -> None:
    assert values(Annealing("linear", 1.3, 0.7, 2), 4) == pytest.approx([1.3, 1.0, 0.7, 0.7])
    assert values(Annealing("cosine", 1.3, 0.7, 2), 4) == pytest.approx([1.3, 1.0, 0.7, 0.7])
    assert values(Annealing("exponential", 1.6, 0.1, 4), 6) == pytest.approx([1.6, 0.8, 0.4, 0.2, 0.1, 0.1])
    # 1 + start − end = 4: start + 1 − 4^x
    assert values(Annealing("exploratory", 4, 1, 2), 4) == pytest.approx([4.0, 3.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("highest", "lowest", "decay"), [(1.2, 0.1, 25.0), (2.0, 0.7, 7.5), (1.01, 1.0, 3.0)]
)
def test_exploratory_is_the_formula_of_the_source(highest: float, lowest: float, decay: float) -> None:
    """τ_t = max(1 + τ_max − e^(t/d), τ_min), of Yang et al. 2025, where d makes the length whole."""
    length = math.ceil(decay * math.log(1 + highest - lowest))
    d = length / math.log(1 + highest - lowest)
    expected = [max(1 + highest - math.exp(t / d), lowest) for t in range(2 * length)]
    assert values(Annealing("exploratory", highest, lowest, length), 2 * length) == pytest.approx(expected)


def test_the_whole_text_is_the_length_that_is_left_out() -> None:
    for kind in ("linear", "cosine", "exponential", "exploratory"):
        found = values(Annealing(kind, 1.3, 0.7), 9)
        assert (found[0], found[-1]) == pytest.approx((1.3, 0.7)) and (np.diff(found) < 0).all()
        assert values(Annealing(kind, 1.3, 0.7), 1).tolist() == [1.3]
        assert values(Annealing(kind, 0.1, 0.1), 5).tolist() == [0.1] * 5, (
            "exactly: one law with temperature 0.1"
        )


def test_the_base_of_each_step() -> None:
    plain = Base(top_p=0.9)
    assert all(base is plain for base in step_bases(plain, 3))
    bases = step_bases(replace(plain, temperature=Annealing("linear", 1.3, 0.7, 6)), 8)
    assert [base.temperature for base in bases] == [
        1.3,
        1.2,
        1.1,
        1.0,
        0.9,
        0.8,
        0.7,
        0.7,
    ]  # to the last bit
    assert bases[3] == plain and {base.top_p for base in bases} == {0.9}


def test_equal_laws_are_one_decoder() -> None:
    still = Base(temperature=Annealing("exploratory", 0.7, 0.7, 5))
    assert simplest(still) == Base(temperature=0.7)
    variant = Variant(still, Route("uniform"), Route("uniform"))
    assert distinct_decoder(variant, 0, 0) == Decoder(Base(temperature=0.7))
    falling = Base(temperature=FALLING)
    assert simplest(falling) == falling and simplest(Base(top_k=3)) == Base(top_k=3)
    assert spelt_out(falling, 48) == Base(temperature=Annealing("linear", 1.3, 0.7, 47))
    for said in (Base(temperature=Annealing("linear", 1.3, 0.7, 9)), Base(temperature=0.7)):
        assert spelt_out(said, 48) == said


def test_cells_of_annealing() -> None:
    """The setting is the mean over the steps: 1.3, 0.7, 0.7, … in 48 steps with length 1."""
    heats = (FALLING, Annealing("linear", 1.3, 0.7, 1), Annealing("cosine", 0.7, 0.7))
    bases = tuple(Base(temperature=heat) for heat in heats)
    settings = replace(SETTINGS, baselines=SETTINGS.baselines | {"annealing": bases})
    cells = all_cells(settings, settings.tasks["textgen"])
    found = [cell for cell in cells if cell.family == "annealing"]
    assert [(cell.name, cell.setting) for cell in found] == [
        ("annealing-linear-1.3-0.7", 1.0),
        ("annealing-linear-1.3-0.7-1", pytest.approx((1.3 + 47 * 0.7) / 48)),
        ("annealing-cosine-0.7-0.7", 0.7),
    ]
    first = representatives(cells)
    assert first[found[0].decoder] == found[0].name
    assert first[found[2].decoder] == "temperature-0.7", "one law: run once"


def test_what_enters_content_keys() -> None:
    """The keys of decoders without annealing are as if there were none."""
    assert Decoder(Base(temperature=0.7)).describe()["base"] == {
        "greedy": False, "temperature": 0.7, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "eta": 0.0,
    }  # fmt: skip
    described = Decoder(Base(temperature=FALLING)).describe()["base"]["temperature"]
    assert described == {"kind": "linear", "start": 1.3, "end": 0.7, "length": 0}
