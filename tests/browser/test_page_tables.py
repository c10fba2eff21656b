"""What a reader takes along from the page: tables and charts, sorted, filtered, in every format."""

from __future__ import annotations

import csv
import struct
from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By

from tests.helpers import browser
from tests.helpers.reading import click, of


def test_the_table_sorts(page: Any) -> None:
    def column(number: int) -> list[str]:
        return page.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map(td => td.innerText)",
            f"#cells td:nth-child({number})",
        )

    click(page, page.find_element(By.CSS_SELECTOR, "[data-sort=label]"))
    assert column(1) == sorted(column(1), reverse=True)
    click(page, page.find_element(By.CSS_SELECTOR, "[data-sort=label]"))
    assert column(1) == sorted(column(1))
    head = page.find_element(By.CSS_SELECTOR, "#cells th")
    assert head.get_attribute("aria-sort") == "ascending"


def test_tables_are_filtered_and_taken_along(page: Any, folder: Path) -> None:
    def shown() -> list[str]:
        rows = page.find_elements(By.CSS_SELECTOR, "#cells tbody tr")
        return [row.text for row in rows if row.is_displayed()]

    tools = page.find_element(By.XPATH, "//*[@data-name='decoders']/preceding-sibling::*[1]")
    tools.find_element(By.TAG_NAME, "input").send_keys("plausible 0.03")
    assert 0 < len(shown()) < 20 and all("plausible" in row and "0.03" in row for row in shown())
    count = len(shown())
    click(page, page.find_element(By.CSS_SELECTOR, "[data-sort=label]"))
    assert len(shown()) == count  # the filter stays
    for kind, line in (
        ("csv", "decoder,family,r,"),
        ("md", "| decoder | family |"),
        ("tex", "decoder & family &"),
    ):
        click(page, tools.find_element(By.CSS_SELECTOR, f"[data-table={kind}]"))
        path = folder / f"textgen-decoders-table.{kind}"
        browser.wait_for_download(page, path)
        text = path.read_text(encoding="utf-8")
        assert line in text and text.count("plausible") >= count, kind
    assert text.startswith("\\begin{tabular}{llllll}\n") and "$\\lambda$ = 0.03" in text


def test_charts_are_taken_along_as_pictures(page: Any, folder: Path) -> None:
    for kind, begin in (("png", b"\x89PNG"), ("svg", b"<svg")):
        click(page, page.find_element(By.CSS_SELECTOR, f"[data-csv=plane] ~ [data-picture={kind}]"))
        path = folder / f"textgen-plane.{kind}"
        browser.wait_for_download(page, path)
        assert path.read_bytes().startswith(begin)
    said = "Open-ended text: quality: "  # what it shows stands above it
    assert said in path.read_text(encoding="utf-8")
    high = of(page, "plane-chart").find_element(By.TAG_NAME, "svg").size["height"]
    assert struct.unpack(">I", (folder / "textgen-plane.png").read_bytes()[20:24])[0] > 2 * high


def test_every_figure_can_be_downloaded(page: Any, folder: Path) -> None:
    kinds = [
        button.get_attribute("data-csv") for button in page.find_elements(By.CSS_SELECTOR, "[data-csv]")
    ]
    own = ["plane", "heatmap", "matched", "gates", "recovery", "likelihood", "tune"]
    assert kinds == [*["answer"] * 3, *own]
    for kind in ("answer", *own):
        click(page, page.find_element(By.CSS_SELECTOR, f"[data-csv={kind}]"))
        path = folder / f"textgen-{kind}.csv"
        browser.wait_for_download(page, path)
        with open(path, newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        assert rows and all(None not in row for row in rows), kind
    with open(folder / "textgen-plane.csv", newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 98 and float(rows[0]["ead_2"]) > 0 and "fluency_gap_lo" in rows[0]
    with open(folder / "textgen-likelihood.csv", newline="", encoding="utf-8") as lines:
        assert {"family", "route", "r", "log_likelihood"} <= set(next(csv.DictReader(lines)))
