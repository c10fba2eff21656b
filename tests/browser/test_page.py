"""The page in a real browser, opened from disk: what a reader does with it, and what a text could do to it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.helpers import browser
from tests.helpers.pages import made_page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page")
    (made / "index.html").write_text(made_page(), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def driver(folder: Path) -> Iterator[Any]:
    yield from browser.chromium(folder)


@pytest.fixture
def page(driver: Any, folder: Path) -> Iterator[Any]:
    """The page anew; afterwards its console and its requests are looked at."""
    browser.width(driver, 1280)
    browser.dark(driver, False)
    address = f"file://{folder}/index.html"
    driver.get(address)
    ready(driver)
    yield driver
    assert driver.title == "Does randomness in decoding help?"  # what the hostile texts try to change
    assert [entry["message"] for entry in driver.get_log("browser")] == []
    assert set(browser.requested(driver)) <= {address}


def ready(driver: Any) -> None:
    browser.wait(driver, "document.documentElement.dataset.ready")
    drawn(driver)


def drawn(driver: Any) -> None:
    """Every chart is the one that was asked for last."""
    browser.wait(
        driver,
        "[...document.querySelectorAll('.chart')]"
        ".every(c => c.classList.contains('missing') || (c.dataset.turn && c.dataset.drawn === c.dataset.turn))",
    )


def rested(driver: Any) -> None:
    """The slider's decoder is the chosen one, which it is a moment after the last move."""
    browser.wait(
        driver,
        "document.getElementById('chosen').dataset.decoder === document.getElementById('right-name').dataset.cell",
    )
    drawn(driver)


def chosen(driver: Any) -> str:
    """The cell that is chosen, once there is one."""
    browser.wait(driver, "document.getElementById('chosen').dataset.cell")
    return str(of(driver, "chosen").get_attribute("data-cell"))


def of(driver: Any, name: str) -> Any:
    return driver.find_element(By.ID, name)


def choose(driver: Any, name: str, value: str) -> None:
    Select(of(driver, name)).select_by_value(value)
    drawn(driver)


def click(driver: Any, element: Any) -> None:
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    browser.wait_at_rest(driver, element)
    ActionChains(driver).move_to_element(element).click().perform()
    drawn(driver)


def heat_square(driver: Any, number: int) -> Any:
    return driver.find_elements(By.CSS_SELECTOR, "#heatmap-chart .mark-rect.role-mark path")[number]


def colour(element: Any) -> str:
    return element.value_of_css_property("background-color")


def values(driver: Any) -> dict[str, str]:
    return {name: of(driver, name).get_attribute("value") for name in ("task", "left", "right", "x", "y")}


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
    assert len(rows) == 96  # the human texts have no gap from themselves
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
    assert values(page)["y"] == "chrf" and len(page.find_elements(By.CSS_SELECTOR, "#cells tbody tr")) == 97
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


def test_stepping_along_r_shows_the_fork(page: Any) -> None:
    step = of(page, "step")
    step.send_keys(Keys.HOME)
    rested(page)
    first = of(page, "right-name").text
    assert first == of(page, "left-name").text and not page.find_elements(
        By.CSS_SELECTOR, "#right-text .fork"
    )
    step.send_keys(Keys.ARROW_RIGHT)
    rested(page)
    assert of(page, "right-name").text != first and of(page, "rate").text.startswith("r = 0.0")
    for side in ("left", "right"):
        fork = page.find_element(By.CSS_SELECTOR, f"#{side}-text .fork")
        assert fork.get_attribute("data-i") == "3"  # three tokens are the same
    assert page.find_element(By.CSS_SELECTOR, "#right-text .token:nth-child(4)").text.startswith("▶ own")
    fork = page.find_element(By.CSS_SELECTOR, "#right-text .fork")
    assert fork.get_attribute("class").split() == [
        "token",
        "r",
        "fork",
    ]  # the variant is uniform: only r counts
    legend = page.find_element(By.CSS_SELECTOR, "#samples .note .token.r")
    assert legend.text == "random, by r" and colour(fork) == colour(legend)  # both marks are seen
    assert "inset" in fork.value_of_css_property("box-shadow")
    assert "random, by r" in fork.get_attribute("title") and "q-route" not in fork.get_attribute("title")
    choose(page, "right", "routing-plausible-q0-l0.1")
    fork = page.find_element(By.CSS_SELECTOR, "#right-text .fork")
    kind = {"q": "q-route", "l": "λ-route"}[fork.get_attribute("class").split()[1]]
    assert f"token 4: {kind}," in fork.get_attribute("title")
    choose(page, "right", "greedy")
    assert "token 4: model," in page.find_element(By.CSS_SELECTOR, "#right-text .fork").get_attribute(
        "title"
    )


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
    click(page, page.find_elements(By.CSS_SELECTOR, "#cells tbody tr")[1])
    cell = chosen(page)
    browser.wait(page, "location.hash.includes('cell=')")
    seen, link = values(page) | {"example": "2"}, page.current_url
    page.get("about:blank")
    page.get(link)
    ready(page)
    assert values(page) | {"example": of(page, "example").get_attribute("value")} == seen
    assert chosen(page) == cell
    page.get(f"file://{folder}/index.html#task=nothing&x=<b>&example=999")  # of another page
    page.refresh()
    ready(page)
    assert values(page)["task"] == "textgen"


def test_examples_are_walked_and_searched(page: Any) -> None:
    example = of(page, "example")
    for button, number in (("next", "1"), ("next", "2"), ("next", "0"), ("previous", "2")):
        click(page, of(page, button))
        assert example.get_attribute("value") == number
    of(page, "search").send_keys("PROMPT 1")
    browser.wait(page, "document.getElementById('found').textContent")
    assert of(page, "found").text == "1 of 3 examples" and example.get_attribute("value") == "1"
    assert "Prompt 1" in of(page, "prompt").text
    click(page, of(page, "shuffle"))
    assert example.get_attribute("value") == "1"  # among those that were found
    of(page, "search").clear()
    of(page, "search").send_keys("in no text")
    browser.wait(page, "document.getElementById('found').textContent.startsWith('0')")


def test_scores_stand_beside_the_texts_and_sort_the_examples(page: Any) -> None:
    right = of(page, "right-scores").text
    assert right.startswith("1 random token · length ") and of(page, "reference-scores").text == "length 48"
    choose(page, "order", "length")
    example, values = Select(of(page, "example")), []
    for option in example.options:
        choose(page, "example", str(option.get_attribute("value")))
        values.append(int(of(page, "right-scores").text.split()[-1]))
    assert values == sorted(values, reverse=True) and len(set(values)) == 3
    click(page, of(page, "ascending"))
    assert of(page, "right-scores").text.endswith(f" {min(values)}")  # the first of the new order is shown
    ends = page.find_elements(By.CSS_SELECTOR, ":is(#left-text, #right-text) .token:last-child .end")
    assert {end.text for end in ends} == {"⟨end⟩"}  # of one of both, which came to its end


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
        browser.wait_until(page, path.exists, f"{path.name} is there")
        text = path.read_text(encoding="utf-8")
        assert line in text and text.count("plausible") >= count, kind
    assert text.startswith("\\begin{tabular}{llllll}\n") and "$\\lambda$ = 0.03" in text


def test_charts_are_taken_along_as_pictures(page: Any, folder: Path) -> None:
    for kind, begin in (("png", b"\x89PNG"), ("svg", b"<svg")):
        click(page, page.find_element(By.CSS_SELECTOR, f"[data-csv=plane] ~ [data-picture={kind}]"))
        path = folder / f"textgen-plane.{kind}"
        browser.wait_until(page, path.exists, f"{path.name} is there")
        assert path.read_bytes().startswith(begin)


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


def test_what_the_model_was_given_is_shown_as_it_was(page: Any) -> None:
    given = of(page, "given")
    assert not given.is_displayed()
    click(page, page.find_element(By.CSS_SELECTOR, "#samples summary"))
    assert given.is_displayed()
    assert given.get_attribute("textContent").startswith(
        "<|im_start|>system↵\nBe kind.<|im_end|>↵\nPrompt 0 <script>"
    )


def test_tokens_tell_of_themselves(page: Any) -> None:
    token = page.find_element(By.CSS_SELECTOR, "#right-text .token:nth-child(2)")
    click(page, token)
    told = of(page, "about-token").text
    assert "token 2: model" in told and "rank 7" in told and "entropy 1.23 nats" in told
    of(page, "right-text").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert "token 3:" in of(page, "about-token").text


def test_hostile_texts_are_shown_as_text(page: Any) -> None:
    text = of(page, "right-text").get_attribute("textContent")
    for part in (
        "<script>document.title = 'broken'</script>", '</script><img src=x onerror="', "${1+1} {{ 7*7 }}",
        "⟨U+202E⟩right-to-left⟨U+202C⟩", "⟨U+0000⟩⟨U+0007⟩⟨U+001B⟩[31m", "x… (10,000 characters)",
        "&lt;b&gt; &amp; <b>bold</b>", "⟨U+2028⟩",
    ):  # fmt: skip
        assert part in text, part
    for place in ("right-text", "prompt", "given", "reference"):
        assert not page.find_elements(By.CSS_SELECTOR, f"#{place} :is(script, img, b)")
    assert "<script>" in of(page, "prompt").text
    assert page.execute_script("return document.documentElement.scrollWidth") <= 1280
    assert "<i>two cores</i>" in of(page, "cost").text


def test_every_figure_can_be_downloaded(page: Any, folder: Path) -> None:
    kinds = [
        button.get_attribute("data-csv") for button in page.find_elements(By.CSS_SELECTOR, "[data-csv]")
    ]
    own = ["plane", "heatmap", "matched", "gates", "recovery", "likelihood", "tune"]
    assert kinds == [*["answer"] * 3, *own]
    for kind in ("answer", *own):
        click(page, page.find_element(By.CSS_SELECTOR, f"[data-csv={kind}]"))
        path = folder / f"textgen-{kind}.csv"
        browser.wait_until(page, path.exists, f"{path.name} is there")  # under this name it is whole
        with open(path, newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        assert rows and all(None not in row for row in rows), kind
    with open(folder / "textgen-plane.csv", newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 96 and float(rows[0]["ead_2"]) > 0 and "fluency_gap_lo" in rows[0]
    with open(folder / "textgen-likelihood.csv", newline="", encoding="utf-8") as lines:
        assert {"family", "route", "r", "log_likelihood"} <= set(next(csv.DictReader(lines)))


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
