"""Every direct dependency is pinned, and installed in that version; `deptry` checks that each is used."""

from __future__ import annotations

import re
from importlib.metadata import distributions, version
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILES = ("requirements.txt", "requirements-scale.txt")
LINES = [line for file in FILES for line in (ROOT / file).read_text().splitlines()]
PINNED = dict(line.partition("#")[0].split("==") for line in LINES if line and not line.startswith("#"))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_line_pins_one_version() -> None:
    for line in LINES:
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+(  # .+)?", line), line
    assert len({canonical(name) for name in PINNED}) == sum(not line.startswith("#") for line in LINES)


def test_installed_versions_are_the_pinned_ones() -> None:
    installed = {canonical(d.name) for d in distributions()}
    wanted = {name for name in PINNED if name != "ray" or "ray" in installed}  # which few need
    found = {name: version(name).partition("+")[0] for name in wanted}  # torch has +cpu or +cu…
    assert found == {name: PINNED[name].strip() for name in wanted}
