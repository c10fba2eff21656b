"""Imports run down this list, never up, so that a reader can learn the library from below."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.helpers import ROOT

LIBRARY = ROOT / "random_routing"
LAYERS = (
    "commands", "report", "training", "learning", "tuning", "comparison", "integrations", "scoring", "metrics", "runs",
    "decode", "tasks", "models", "sources", "environments", "law", "resampling", "results", "settings",
)  # fmt: skip
# Which name what is above: the first loads it when it is asked for (test_install.py), the other is a program.
DOORS = (LIBRARY / "__init__.py", LIBRARY / "__main__.py")


def layer(module: str) -> int:
    """Of a dotted name below the library; its own modules, such as errors and files, are at the bottom."""
    name = module.split(".")[1] if "." in module else ""
    return LAYERS.index(name) if name in LAYERS else len(LAYERS)


def imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_every_package_has_its_place() -> None:
    assert {folder.parent.name for folder in LIBRARY.glob("*/__init__.py")} == set(LAYERS)


@pytest.mark.parametrize(
    "file", sorted(LIBRARY.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT))
)
def test_imports_run_down(file: Path) -> None:
    own = 0 if file in DOORS else layer(".".join(file.relative_to(ROOT).with_suffix("").parts))
    names = imported(file)
    assert not [name for name in names if name.split(".")[0] in ("pipeline", "tests", "benchmarks")]
    up = {name for name in names if name.startswith("random_routing") and layer(name) < own}
    assert not up - {"random_routing"}


def test_the_law_knows_no_model() -> None:
    """It works on scores; of transformers it takes two truncations of them."""
    for file in (LIBRARY / "law").glob("*.py"):
        others = {name for name in imported(file) if name.split(".")[0] in ("transformers", "numba")}
        assert all(name == "transformers" or name.endswith("LogitsWarper") for name in others)
