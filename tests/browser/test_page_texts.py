"""The page's texts in a real browser: what a reader does with them, and what they could do to the page."""

from __future__ import annotations

from typing import Any

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.helpers import browser
from tests.helpers.reading import (
    choose,
    click,
    colour,
    of,
    rested,
    values,
)


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


def test_controls_keep_in_step(page: Any) -> None:
    """The slider follows the right decoder; another task keeps both."""
    choose(page, "right", "routing-plausible-q0-l0.1")
    assert of(page, "rate").text == "–"  # on no line of the slider
    choose(page, "right", "routing-epsilon-greedy-q0-l0.1")
    assert (
        of(page, "path").get_attribute("value") == "epsilon-greedy" and "r = 0.1" in of(page, "rate").text
    )
    choose(page, "task", "dialogue")
    assert values(page)["right"] == "routing-epsilon-greedy-q0-l0.1"


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
