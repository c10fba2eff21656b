"""The container file: what it copies is there, its Python will do, and it starts a command that exists."""

from __future__ import annotations

import json
import re
import tomllib

from random_routing.commands.app import COMMANDS, PROGRAM, parser
from tests.helpers import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINES = [
    line.split(maxsplit=1)
    for line in (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]


def of(instruction: str) -> list[str]:
    return [rest for word, rest in LINES if word == instruction]


COPIED = [source for line in of("COPY") for source in line.split()[:-1]]


def test_what_is_copied_is_there_and_is_sent() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert COPIED and all((ROOT / source).exists() and source not in ignored for source in COPIED)


def test_the_package_can_be_built_of_it() -> None:
    """The wheel takes along files of the project besides the library, and its description."""
    build = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {
        *build["packages"],
        *build["force-include"],
        PROJECT["project"]["readme"],
        "pyproject.toml",
    } <= {*COPIED}
    assert any(line.startswith("pip install") and line.endswith(" .") for line in of("RUN"))


def test_its_python_will_do() -> None:
    (base,) = of("FROM")
    found = re.fullmatch(r"docker\.io/library/python:(\d+)\.(\d+)-slim-bookworm", base)
    wanted = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["project"]["requires-python"])
    assert found and wanted and tuple(map(int, found.groups())) >= tuple(map(int, wanted.groups()))


def test_it_runs_the_demo_as_a_user_that_is_not_root() -> None:
    (entry,), (command,), (folder,) = of("ENTRYPOINT"), of("CMD"), of("VOLUME")
    assert json.loads(entry) == [PROGRAM] and PROGRAM in PROJECT["project"]["scripts"]
    demo = parser().parse_args(json.loads(command))
    assert demo.command == "demo" in COMMANDS
    assert [word for word, _ in LINES].index("USER") < [word for word, _ in LINES].index("ENTRYPOINT")
    assert of("USER") != ["root"] and of("WORKDIR")[-1] == folder
    page = (ROOT / "docs/recipes/container.md").read_text(encoding="utf-8")
    assert f" {demo.folder}/reports/index.html" in page and f":{folder} " in page
