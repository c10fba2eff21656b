"""Two runs side by side, in a real browser."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from random_routing.commands import compare
from random_routing.errors import PipelineError
from tests.helpers import browser
from tests.helpers.pages import made_page
from tests.helpers.reading import choose, click, of, ready


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A, and B, a run with another seed whose first hypothesis ended otherwise and whose first text is another."""
    folder = tmp_path_factory.mktemp("runs")
    html = made_page()
    other = html.replace("seed: 1", "seed: 2").replace('"verdict":"worse"', '"verdict":"inconclusive"', 1)
    (folder / "b/reports").mkdir(parents=True)
    (folder / "a.html").write_text(html, encoding="utf-8")
    (folder / "b/reports/index.html").write_text(other, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def driver(runs: Path) -> Iterator[Any]:
    yield from browser.chromium(runs)


@pytest.fixture
def page(driver: Any, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(runs)
    compare.main(Namespace(A="a.html", B="b"))
    browser.width(driver, 1280)
    driver.get(f"file://{runs}/reports/compare.html")
    ready(driver)
    return driver


def test_two_runs(page: Any) -> None:
    rows = page.find_elements(By.CSS_SELECTOR, "#verdicts tbody tr")
    assert len(rows) == 6  # two hypotheses of three tasks
    assert [row.get_attribute("class") for row in rows] == ["picked", *[""] * 5]
    assert "worse" in rows[0].text and "inconclusive" in rows[0].text and rows[0].text.endswith("+0")
    assert "-seed: 1" in of(page, "parameters").text and "+seed: 2" in of(page, "parameters").text
    assert len(page.find_elements(By.CSS_SELECTOR, "#pair-chart svg .mark-line path")) >= 1
    assert len(page.find_elements(By.CSS_SELECTOR, "#decoders tbody tr")) > 50
    assert "3 examples are in both pages" in of(page, "common").text
    left, right = (of(page, f"{side}-text").text for side in ("left", "right"))
    assert left == right and left.startswith("The same start") and "▶" not in left
    choose(page, "task", "translation")
    assert of(page, "decoders").text.startswith("decoder")
    assert "chrf, A" in of(page, "decoders").text
    point = page.find_elements(By.CSS_SELECTOR, "#pair-chart .mark-symbol.role-mark path")[-1]
    cell = page.execute_script("return arguments[0].__data__.datum.cell", point)
    click(page, point)
    assert Select(of(page, "decoder")).first_selected_option.get_attribute("value") == cell
    assert [entry["message"] for entry in page.get_log("browser")] == []
    browser.width(page, 390)
    page.refresh()
    ready(page)
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390


def test_what_is_no_run_is_named(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    (runs / "empty").mkdir(exist_ok=True)
    (runs / "old.html").write_text("<html></html>")
    (runs / "cut.html").write_text(
        (runs / "a.html").read_text("utf-8").replace('{"tasks"', '{"tasks', 1), "utf-8"
    )
    for wrong, said in (
        ("empty", "empty: has neither index.html nor reports/index.html"),
        ("old.html", "old.html: its page lacks tasks, run, by_r: make it again"),
        ("cut.html", "cut.html: its page lacks tasks, run, by_r: make it again"),
        ("no-such-revision", "no-such-revision: neither a page, nor a folder with one, nor a revision"),
    ):
        with pytest.raises(PipelineError, match=said):
            compare.main(Namespace(A="a.html", B=wrong))
