"""The page of made-up numbers in a real browser, opened from disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import browser
from tests.helpers.pages import made_page
from tests.helpers.reading import ready


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
