"""Which pages `random-routing compare` reads: files, folders, revisions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from random_routing.commands.compare import page_of
from random_routing.errors import PipelineError

PAGE = "reports/index.html"


def git(*argv: str) -> None:
    me = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    subprocess.run(["git", *me, *argv], check=True, capture_output=True)


def dvc(*argv: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *argv], check=True, capture_output=True)


def write(text: str) -> None:
    Path("reports").mkdir(exist_ok=True)
    Path(PAGE).write_text(text, encoding="utf-8")


def test_the_page_of_a_file_a_folder_and_a_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write("<p>ä")
    assert page_of(PAGE) == page_of("reports") == page_of(".") == "<p>ä"
    os.mkdir("empty")
    with pytest.raises(PipelineError, match=r"empty: has neither index\.html nor "):
        page_of("empty")


def test_the_page_of_a_revision_comes_from_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    dvc("init", "--quiet")
    for text in ("first", "second"):
        write(text)
        dvc("add", "--quiet", PAGE)
        git("add", ".")
        git("commit", "--quiet", "--message", text)
        git("tag", text)
    write("changed")
    assert [page_of(revision) for revision in ("first", "second", "HEAD")] == ["first", "second", "second"]
    with pytest.raises(PipelineError, match="third: neither a page, nor a folder with one, nor a revision"):
        page_of("third")
