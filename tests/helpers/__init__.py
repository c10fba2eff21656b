"""What tests share: tiny models and projects, made-up numbers, servers and processes."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]  # the checkout
LONG = "LONG_TESTS" in os.environ  # `make test-long`: more draws, more moments, more generated cases


def telling(values: Iterable[Any], *kept: Any) -> list[Any]:
    """Values of a parameter: those that are not kept for `make test` are marked as long."""
    return [value if value in kept else pytest.param(value, marks=pytest.mark.long) for value in values]
