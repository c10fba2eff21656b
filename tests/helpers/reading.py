"""What a reader does with the page in a browser."""

from __future__ import annotations

from typing import Any

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.helpers import browser


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
