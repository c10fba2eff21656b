"""The page in a real browser: its answer, its charts, its address, by keyboard, on a phone and in the dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.helpers import browser
from tests.helpers.reading import (
    choose,
    chosen,
    click,
    drawn,
    heat_square,
    of,
    ready,
    values,
)


def test_the_answer_comes_first(page: Any) -> None:
    cards = page.find_elements(By.CSS_SELECTOR, "#answer .card")
    assert [card.get_attribute("data-task") for card in cards] == ["textgen", "dialogue", "translation"]
    for card in cards:
        verdicts = [item.text for item in card.find_elements(By.CSS_SELECTOR, ".verdicts li")]
        assert len(verdicts) == 2 and all("worse" in one and "n = 30 × 4" in one for one in verdicts)
        assert len(card.find_elements(By.CSS_SELECTOR, "[id^=forest] svg .mark-symbol path")) == 2 * 2
        assert len(card.find_elements(By.CSS_SELECTOR, "[id^=answer] svg .mark-symbol path")) > 5
        assert len(card.find_elements(By.CSS_SELECTOR, "[id^=answer] svg .mark-area path")) == 1
        assert "prompts × 1 text" in card.text
    assert cards[0].location["y"] < 500


def test_a_click_on_a_square_shows_its_texts(page: Any) -> None:
    square = heat_square(page, 7)
    label = square.get_attribute("aria-label")
    click(page, square)
    cell = chosen(page)
    assert cell.startswith("routing-plausible-") and cell == values(page)["right"]
    assert of(page, "chosen").text == f"Chosen: {of(page, 'right-name').text}"
    assert label.startswith(f"{of(page, 'right-name').text}: ")
    picked = page.find_element(By.CSS_SELECTOR, "#cells tr.picked")
    assert picked.get_attribute("data-cell") == cell
    browser.wait(
        page, "Math.abs(document.getElementById('samples').getBoundingClientRect().top - 175) < 225"
    )


def test_plane_and_table_are_linked(page: Any) -> None:
    rows = page.find_elements(By.CSS_SELECTOR, "#cells tbody tr")
    assert len(rows) == 98  # the human texts have no gap from themselves
    row = rows[3]
    cell = row.get_attribute("data-cell")
    click(page, row)
    assert page.find_element(By.CSS_SELECTOR, "#cells tr.picked").get_attribute("data-cell") == cell
    marked = page.execute_script(
        "return [...document.querySelectorAll('#plane-chart .mark-symbol path')]"
        ".filter(p => p.getAttribute('stroke') === '#d00000').length"
    )
    assert marked == 1
    points = page.find_elements(By.CSS_SELECTOR, "#plane-chart .mark-symbol path")
    click(page, points[0])
    other = page.find_element(By.CSS_SELECTOR, "#cells tr.picked").get_attribute("data-cell")
    assert other != cell and other == chosen(page)


def test_axes_tasks_and_metrics_can_be_chosen(page: Any) -> None:
    choose(page, "y", "perplexity")
    assert "judge perplexity" in of(page, "plane-chart").text
    assert of(page, "log").is_selected()
    choose(page, "x", "distinct_2")
    head = [th.text for th in page.find_elements(By.CSS_SELECTOR, "#cells th")]
    assert "distinct-2 (distinct / all word pairs) ↓" in head and "judge perplexity (per token)" in head
    choose(page, "task", "translation")
    assert values(page)["y"] == "chrf" and len(page.find_elements(By.CSS_SELECTOR, "#cells tbody tr")) == 99
    choose(page, "variant", "uniform")
    assert (
        len(page.find_elements(By.CSS_SELECTOR, "#heatmap-chart .mark-symbol path")) > 5
    )  # one knob: a line
    choose(page, "variant", "plausible")
    assert "20 likeliest tokens" in of(page, "variant-note").text
    squares = page.find_elements(By.CSS_SELECTOR, "#heatmap-chart .mark-rect.role-mark path")
    assert len(squares) == 25
    choose(page, "metric", "ter")
    assert "TER" in of(page, "heatmap-chart").text
    (missing,) = page.find_elements(By.CSS_SELECTOR, "#metric option[value=mauve]")
    assert not missing.is_enabled() and missing.text == "mauve: needs 200 examples; there are 64"


def test_the_plane_shows_the_part_where_verdicts_are_decided(page: Any) -> None:
    def ends() -> list[float]:
        return page.execute_script(  # of the axis across
            "return [...document.querySelectorAll('#plane-chart .role-axis-label text')].map(t => t.textContent)"
            ".map(t => Number(t.replace('−', '-'))).filter(Number.isFinite)"
        )

    whole = ends()
    click(page, of(page, "close"))
    browser.wait(page, "location.hash.includes('close=1')")
    drawn(page)
    assert max(ends()) < max(whole) or min(ends()) > min(whole)
    choose(page, "x", "distinct_2")
    assert not of(page, "close").is_enabled()  # no verdict is given on these axes


def test_a_point_of_a_card_is_of_its_own_task(page: Any) -> None:
    assert values(page)["task"] == "textgen"
    point = page.execute_script(  # of a hypothesis, so that it is seen
        "return [...document.querySelectorAll('#answer-translation .mark-symbol path')].findLast("
        "p => p.__data__.datum?.family === 'uniform' && 0 < p.__data__.datum.r && p.__data__.datum.r < .15)"
    )
    cell = page.execute_script("return arguments[0].__data__.datum.cell", point)
    click(page, point)
    assert cell == chosen(page) and values(page)["task"] == "translation"
    assert page.find_element(By.CSS_SELECTOR, "#cells tr.picked").get_attribute("data-cell") == cell


def test_a_link_opens_what_was_seen(page: Any, folder: Path) -> None:
    choose(page, "task", "dialogue")
    choose(page, "y", "perplexity")
    choose(page, "example", "2")
    click(page, of(page, "ascending"))
    click(page, page.find_elements(By.CSS_SELECTOR, "#cells tbody tr")[1])
    cell = chosen(page)
    browser.wait(page, "location.hash.includes('cell=')")
    seen, link = values(page) | {"example": "2"}, page.current_url
    page.get("about:blank")
    page.get(link)
    ready(page)
    assert values(page) | {"example": of(page, "example").get_attribute("value")} == seen
    assert chosen(page) == cell and of(page, "ascending").is_selected()
    page.get(f"file://{folder}/index.html#task=nothing&x=<b>&example=999")  # of another page
    page.refresh()
    ready(page)
    assert values(page)["task"] == "textgen"


def test_power_and_tuning_have_their_sections(page: Any) -> None:
    assert "settles Δ" in of(page, "power").text and "120 prompts" in of(page, "power").text
    text = of(page, "tuning").text
    assert "routing (" in text and "unseen examples" in text
    assert page.find_elements(By.CSS_SELECTOR, "#tune-chart svg .mark-symbol path")
    assert "5.0 minutes" in of(page, "cost").text


def test_squares_are_reached_by_the_keyboard(page: Any) -> None:
    square = heat_square(page, 3)
    page.execute_script("arguments[0].focus()", square)
    cell = page.execute_script("return arguments[0].__data__.datum.cell", square)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert chosen(page) == cell


def test_by_keyboard_alone(page: Any) -> None:
    """From the top, Tab reaches every control; Enter on a row of the table chooses it."""
    reached: list[str] = []
    body = page.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    for _ in range(400):
        active = page.switch_to.active_element
        reached.append(active.get_attribute("id") or active.get_attribute("data-csv") or active.tag_name)
        if active.tag_name == "tr" and "enter" not in reached:
            cell = active.get_attribute("data-cell")
            active.send_keys(Keys.ENTER)
            drawn(page)
            assert chosen(page) == cell
            assert page.switch_to.active_element.get_attribute("data-cell") == cell  # the focus stays
            reached.append("enter")
            page.execute_script("document.getElementById('variant').focus()")  # past the other rows
        page.switch_to.active_element.send_keys(Keys.TAB)
        if "likelihood" in reached:
            break
    wanted = {"task", "x", "y", "log", "enter", "metric", "example", "left", "right", "path", "step",
              "left-text", "right-text", "curve", "plane", "heatmap", "matched"}  # fmt: skip
    assert wanted <= set(reached), wanted - set(reached)


@pytest.mark.parametrize(
    ("dark", "pixels"),
    [
        pytest.param(False, 1280, id="light-1280"),
        pytest.param(True, 390, id="dark-390"),
        pytest.param(False, 390, id="light-390", marks=pytest.mark.long),
        pytest.param(True, 1280, id="dark-1280", marks=pytest.mark.long),
    ],
)
def test_readable_at_both_widths_and_in_both_schemes(page: Any, pixels: int, dark: bool) -> None:
    browser.dark(page, dark)
    browser.width(page, pixels)
    page.refresh()
    ready(page)
    assert page.execute_script("return document.documentElement.scrollWidth") <= pixels
    small = page.execute_script(
        "return [...document.querySelectorAll('main *, svg text')]"
        ".filter(e => e.textContent.trim() && !e.closest('.hash'))"
        ".map(e => parseFloat(getComputedStyle(e).fontSize)).filter(s => s < 10.5).length"
    )
    assert small == 0
    colours = page.execute_script(
        "const s = getComputedStyle(document.body), t = document.querySelector('svg text');"
        "return [s.color, s.backgroundColor, getComputedStyle(t).fill]"
    )
    ink, ground, label = (sum(map(int, c[c.index("(") + 1 : -1].split(",")[:3])) for c in colours)
    assert (ground < 150 and min(ink, label) > 600) if dark else (ground > 700 and max(ink, label) < 200)
    charts = page.find_elements(By.CSS_SELECTOR, ".chart svg")
    assert len(charts) >= 9 and all(chart.size["width"] <= pixels for chart in charts)
