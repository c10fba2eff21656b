"""The sections of `params.yaml` that name decoders: bases, baselines, grids."""

from __future__ import annotations

from typing import Any

from random_routing.errors import fail
from random_routing.settings import checks
from random_routing.settings.schema import Base

VOCABULARY = 10_000_000  # tokens
# The values that a base decoder's settings may take: (low, high, low itself excluded).
BASE_RANGES = {
    "temperature": (1e-6, 100.0, False),  # logits over less overflow
    "top_p": (0.0, 1.0, True),
    "min_p": (0.0, 1.0, False),
    "typical_p": (0.0, 1.0, True),
    "eta": (0.0, 1.0, True),
}


def _base_value(key: str, name: str, value: Any) -> Base:
    if name == "top_k":
        return Base(top_k=checks.integer(key, value, 1, VOCABULARY, "no vocabulary is larger"))
    low, high, open_low = BASE_RANGES[name]
    checked = checks.number(key, value, low, high, open_low)
    if name in ("typical_p",) and checked == 1.0:
        raise fail(key, value, "must be below 1 (1 is plain sampling)")
    if name == "eta" and checked == 1.0:
        raise fail(key, value, "must be below 1")
    return Base(**{name: checked})  # type: ignore[arg-type]


def parse_base(key: str, value: Any) -> Base:
    """`sample`, `greedy`, or a mapping of one or more settings, as in {temperature: 0.7, top_p: 0.9}."""
    if value == "sample":
        return Base()
    if value == "greedy":
        return Base(greedy=True)
    allowed = f"must be sample, greedy, or a mapping of {', '.join(sorted((*BASE_RANGES, 'top_k')))}"
    if not isinstance(value, dict) or not value:
        raise fail(key, value, allowed)
    checks.keys(key, value, (), (*BASE_RANGES, "top_k"))
    merged = {n: getattr(_base_value(f"{key}.{n}", n, v), n) for n, v in value.items()}
    return Base(**merged)


def parse_baselines(section: dict[str, Any]) -> dict[str, tuple[Base, ...]]:
    families: dict[str, tuple[Base, ...]] = {}
    checks.keys("baselines", section, (), ("greedy", "top_k", *BASE_RANGES))
    for family, values in section.items():
        key = f"baselines.{family}"
        if family == "greedy":
            families[family] = (Base(greedy=True),) if checks.boolean(key, values) else ()
        else:
            listed = checks.sequence(key, values, empty_ok=True)
            families[family] = tuple(_base_value(f"{key}[{i}]", family, v) for i, v in enumerate(listed))
    return families


def parse_grid(key: str, value: Any) -> tuple[float, ...]:
    return tuple(checks.number(f"{key}[{i}]", v, 0, 1) for i, v in enumerate(checks.sequence(key, value)))
