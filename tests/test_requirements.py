"""Every direct dependency is pinned, used, and installed in that version."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import distributions, packages_distributions, version
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILES = ("requirements.txt", "requirements-scale.txt")
LINES = [line for file in FILES for line in (ROOT / file).read_text().splitlines()]
PINNED = dict(line.partition("#")[0].split("==") for line in LINES if line and not line.startswith("#"))
COMMANDS = {"dvc", "mypy", "pytest", "ruff"}  # of the Makefile
FOR_OTHERS = {
    "accelerate": "transformers loads quantised GGUF with it",
    "hatchling": "pip builds the package with it",
    "pytest-xdist": "pytest --numprocesses, of the Makefile",
    "types-pyyaml": "mypy",
}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> set[str]:
    """Distributions whose modules are imported anywhere here, also inside functions."""
    modules = set()
    for folder in ("pipeline", "random_routing", "benchmarks", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    modules |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules.add(node.module.split(".")[0])
    owners = {**packages_distributions(), "ray": ["ray"]}
    return {canonical(owner) for module in modules for owner in owners.get(module, ())}


def ranges() -> dict[str, str]:
    """Dependency → the versions that pyproject.toml allows, of the package, its extras and the groups."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = tables["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    lists += [*tables["dependency-groups"].values(), tables["build-system"]["requires"]]
    asked = [re.fullmatch(r"([\w-]+)(>=[\d.]+(?:,<\d+)?)", line) for lines in lists for line in lines]
    assert all(asked)
    return {canonical(found[1]): found[2] for found in asked if found}


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def test_the_package_allows_what_is_pinned() -> None:
    """The same dependencies in both files, and every pinned version inside its range."""
    allowed = ranges()
    assert set(allowed) == {canonical(name) for name in PINNED}
    for name, pinned in PINNED.items():
        low, _, high = allowed[canonical(name)].removeprefix(">=").partition(",<")
        assert numbers(low) <= numbers(pinned) and (not high or numbers(pinned) < numbers(high)), name


def test_every_line_pins_one_version() -> None:
    for line in LINES:
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+(  # .+)?", line), line
    assert len({canonical(name) for name in PINNED}) == sum(not line.startswith("#") for line in LINES)


def test_every_dependency_is_used() -> None:
    unused = {canonical(name) for name in PINNED} - imported() - COMMANDS - set(FOR_OTHERS)
    assert not unused
    assert not imported() & set(FOR_OTHERS)  # then they need no excuse


def test_what_is_imported_is_a_direct_dependency() -> None:
    """Else it is there only as long as another package wants it."""
    indirect = imported() - {canonical(name) for name in PINNED} - {"pip"}
    assert not indirect


def test_the_commands_are_those_of_the_makefile() -> None:
    text = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^\t{command}\b", text, re.M) for command in COMMANDS)


def test_installed_versions_are_the_pinned_ones() -> None:
    installed = {canonical(d.name) for d in distributions()}
    wanted = {name for name in PINNED if name != "ray" or "ray" in installed}  # which few need
    found = {name: version(name).partition("+")[0] for name in wanted}  # torch has +cpu or +cu…
    assert found == {name: PINNED[name].strip() for name in wanted}
