"""DVC does not follow imports: every stage's deps must cover the modules that it runs."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers import ROOT

OURS = ("pipeline", "random_routing")
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def module_file(module: str) -> Path | None:
    path = ROOT / Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


def imports(path: Path) -> set[Path]:
    """Files of this project that a file imports, with the packages above them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(OURS):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith(OURS)}
    names |= {".".join(name.split(".")[:i]) for name in names for i in range(2, name.count(".") + 1)}
    return {file for name in names if (file := module_file(name)) is not None}


START = {ROOT / name / "__init__.py" for name in OURS}  # usage, signals and threads of a stage's process


def closure(path: Path) -> set[Path]:
    seen, todo = set(START), {path}
    while todo:
        current = todo.pop()
        seen.add(current)
        todo |= imports(current) - seen
    return {file for file in seen - START if not only_says(file)}


def only_says(file: Path) -> bool:
    """Whether a file is nothing but its docstring."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return len(body) == 1 and isinstance(body[0], ast.Expr)


@pytest.mark.parametrize("name", STAGES)
def test_deps_cover_imports(name: str) -> None:
    stage: dict[str, Any] = STAGES[name].get("do", STAGES[name])
    module = stage["cmd"].split()[2]
    main = module_file(module)
    assert main is not None
    deps = [ROOT / dep for dep in stage["deps"] if dep.startswith(OURS)]
    uncovered = {f for f in closure(main) if not any(f == dep or dep in f.parents for dep in deps)}
    assert not uncovered, f"{name}: deps miss {sorted(str(f.relative_to(ROOT)) for f in uncovered)}"


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("runs/ray_workers.py", {"generate", "evaluate", "tune"}),
        ("models/attention.py", {"generate", "evaluate", "tune"}),
        ("models/fixed_products.py", {"generate", "evaluate", "tune"}),
        ("decode/loop.py", {"generate", "evaluate", "tune"}),
    ],
)
def test_an_edit_reaches_the_stages_that_run_the_file(file: str, stages: set[str]) -> None:
    """A dependency on a whole package would run a stage again for code that it does not run."""
    path = f"random_routing/{file}"
    listed = {name: STAGES[name].get("do", STAGES[name])["deps"] for name in STAGES}
    touched = {
        name
        for name, deps in listed.items()
        if any(path == dep or path.startswith(f"{dep}/") for dep in deps)
    }
    assert touched == stages


def test_lists_in_params_are_block_style() -> None:
    """`dvc exp run -S` rewrites inline lists."""
    lines = (ROOT / "params.yaml").read_text().splitlines()
    assert not [line for line in lines if "[" in line.split("#")[0]]


def params_of(stage: str) -> set[str]:
    return {name for name in STAGES[stage]["do"]["params"] if isinstance(name, str)}


def test_params_cover_what_stages_read() -> None:
    """evaluate and tune make the grid's cells themselves; prepare maps a data set's columns."""
    for stage in ("evaluate", "tune"):
        assert params_of("generate") <= params_of(stage)
    assert "assets.${item.data}" in params_of("prepare")


def test_evaluate_is_run_again_where_the_number_of_hypotheses_is_another() -> None:
    """It corrects for those of all tasks, and its parameters are of one."""
    number = "data/hypotheses.json"
    assert number in STAGES["check"]["outs"] and number in STAGES["evaluate"]["do"]["deps"]
