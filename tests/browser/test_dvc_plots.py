"""`dvc plots show` and `diff` with the project's templates: pages that open without a network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import summarize
from random_routing.report.page import plots_show
from tests.helpers import ROOT, browser, synthetic


def run(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the tables of made-up metrics, in two commits that differ."""
    folder = tmp_path_factory.mktemp("plots")
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    own = [plot for plot in plots if isinstance(plot, dict)]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"plots": own}, allow_unicode=True), encoding="utf-8")
    run(folder, "git", "init", "-q")
    for settings in ({}, {"lambda_means": "exploit"}):
        synthetic.project(folder, synthetic.raw_params() | settings)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            summarize.main([])
        run(folder, "git", "add", "-A")
        run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "one")
    return folder


@pytest.fixture(scope="module")
def driver(project: Path) -> Iterator[Any]:
    yield from browser.chromium(project)


DIFF = ["diff", "HEAD~1", "HEAD"]


def test_the_template_holds_the_library_of_this_version() -> None:
    """Made by `python -m random_routing.report.page.plots_show`."""
    assert (ROOT / plots_show.TEMPLATE).read_text(encoding="utf-8") == plots_show.template()


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        (["show"], "dvc_plots"),
        (DIFF, "else where/é"),
        pytest.param(["show"], "else where/é", marks=pytest.mark.long),
        pytest.param(DIFF, "dvc_plots", marks=pytest.mark.long),
    ],
)
def test_the_plots_are_drawn_without_a_network(
    project: Path, driver: Any, command: list[str], folder: str
) -> None:
    out = project / folder
    out.parent.mkdir(exist_ok=True)
    run(project, sys.executable, "-m", "dvc", "plots", *command, "-o", str(out))
    page = out / "index.html"
    driver.get(page.as_uri())
    browser.wait(driver, "document.querySelectorAll('svg, canvas').length >= 3")
    assert set(browser.requested(driver)) == {page.as_uri()}
    said = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert said == []
    shown = json.loads(run(project, sys.executable, "-m", "dvc", "plots", *command, "--json"))
    assert shown  # the same through DVC's own interface
    spec = page.read_text(encoding="utf-8")
    assert "judge perplexity over q and λ" in spec or "judge perplexity over q and \\u03bb" in spec
    if command[0] == "diff":
        assert '"HEAD~1"' in spec
