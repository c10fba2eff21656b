"""What generated tests have in common: the same cases in every run, and odd values."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.helpers import LONG


def cases(few: int, many: int) -> Callable[[Any], Any]:
    """The same cases in every run: few, or many in the long version."""
    silent = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
    return settings(
        max_examples=many if LONG else few, derandomize=True, database=None, suppress_health_check=silent
    )


# What a YAML or JSON file may hold where something else is wanted.
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e-320, 1e308, math.nan, math.inf, -math.inf, 10**30, 10**400,
        -(10**5000), 2**63, "", " ", "a\nb", "\0", "\x1b[2J", "1e-3", "1e400", "nan", "sample", "uniform", "all",
        "../x",
        "/", "hf:@", "pypi:==", "pypi:a==1\n--no-binary :all:", "file:", "é\u0301", "\u202e", "x" * 5000, "${seed}",
        [], {}, [[]], [{}], [None], [1, True], ["a", "a"], [[[[[[]]]]]], {"": 1}, {"a": {}}, {None: 1}, {1: 2},
        {"q": [0], "lambda": [1]}, {"top_k": 10**20}, {"span": 10**400}, {"unigram": "\0"}, {"frozen": math.nan},
        datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1), b"\xff", {"a", "b"},
    ]
)  # fmt: skip
TEXT = st.text(st.characters(codec=None), max_size=12) | st.sampled_from(
    ["</s>", "<|user|>", "\ud800", "a\0b"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
VALUES = ODD | ODD | JSON | st.lists(st.floats(0, 1) | st.integers(), max_size=4)
