"""Two runs side by side: the pages of both → `reports/compare.html`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from random_routing.errors import PipelineError
from random_routing.files import write_text
from random_routing.progress import say
from random_routing.report.page.side_by_side import side_by_side

PAGE, MADE = Path("reports/index.html"), Path("reports/compare.html")


def main(arguments: Namespace) -> None:
    first, second = arguments.A, arguments.B
    html = side_by_side((first, second), (page_of(first), page_of(second)))
    write_text(MADE, html)
    say("compare", MADE.resolve().as_uri())


def page_of(run: str) -> str:
    """The page of a run: a file, a folder that has one, or a revision whose page is in DVC's cache."""
    path = Path(run)
    for page in (path, path / "index.html", path / PAGE):
        if page.is_file():
            return page.read_text(encoding="utf-8", errors="replace")
    if path.is_dir():
        raise PipelineError(f"{run}: has neither index.html nor {PAGE}")
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "index.html"
        get = [
            sys.executable,
            "-m",
            "dvc",
            "get",
            "--quiet",
            ".",
            str(PAGE),
            "--rev",
            run,
            "--out",
            str(found),
        ]
        if subprocess.run(get, capture_output=True, check=False).returncode:
            raise PipelineError(
                f"{run}: neither a page, nor a folder with one, nor a revision whose page DVC has"
            )
        return found.read_text(encoding="utf-8")
