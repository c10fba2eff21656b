"""docs/recipes: a page per recipe, each with what it needs to say, and calls that the command line takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from random_routing.commands.app import parser
from tests.helpers import ROOT

FOLDER = ROOT / "docs/recipes"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")


def calls(text: str) -> list[list[str]]:
    """The arguments of each call of random-routing in the blocks of a page."""
    found = []
    for block in re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            if not line.startswith(("random-routing ", "podman ")):
                continue
            words = shlex.split(line, comments=True)
            if "random-routing" in words:
                found.append(words[words.index("random-routing") + 1 :])
    return [words for words in found if words and words[0].isalpha()]  # no path of `podman build` or `cat`


def test_the_index_names_every_page() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[[\w-]+\.md\]\(([\w-]+\.md)\)", index, re.MULTILINE) and len(PAGES) == 8
    assert all(f"({page.name})" in index for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_a_recipe_has_to(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for heading in ("What you need", "The call", "What can go wrong", "More"):
        assert f"\n## {heading}\n" in text, heading
    assert "## What it prints" in text or page.stem == "gpu"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_calls_are_calls(page: Path) -> None:
    found = calls(page.read_text(encoding="utf-8"))
    assert found
    for words in found:
        parser().parse_args(words)
