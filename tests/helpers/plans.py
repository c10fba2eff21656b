"""A plan of texts for a tiny model."""

from __future__ import annotations

import numpy as np

from random_routing.law.cells import routing_cells
from random_routing.law.vocabulary import Vocabulary
from random_routing.models.shape import Shape
from random_routing.runs.plan import Plan, make_plan
from random_routing.runs.tokenized import Example
from random_routing.settings import Settings, parse_settings
from tests.helpers.workspace import params

SHAPE = Shape(context=512, logits=300, layers=2, eos=2)


VOCABULARY = Vocabulary(300, np.arange(3, 300), frozenset({2}))


def settings(steps: int = 3, side: int = 3) -> Settings:
    values = params(steps=steps)
    values["grid"] = {"q": [i / side for i in range(side)], "lambda": [i / side for i in range(side)]}
    values["tune"]["variants"] = "all"
    values["variants"] = {"plausible": values["variants"]["plausible"]}
    return parse_settings(values)


def examples(common: int, *own: int) -> list[Example]:
    shared = tuple(range(10, 10 + common))
    return [Example(str(i), (*shared, *range(100 + i % 150, 100 + i % 150 + n))) for i, n in enumerate(own)]


def plan_of(rows: list[Example], shape: Shape, side: int = 3) -> Plan:
    one = settings(side=side)
    cells = routing_cells(one, one.tasks["textgen"])
    return make_plan(one, one.tasks["textgen"], cells, rows, VOCABULARY, shape, {"files": {}})


def plan(count: int, side: int) -> Plan:
    return plan_of(examples(20, *[1 + i % 5 for i in range(count)]), SHAPE, side)
