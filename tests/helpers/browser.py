"""Headless Chromium for tests; without it they are skipped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SECONDS = 600  # the last resort: what is waited for comes when the machine has time

AT_REST = """
const [element, done] = arguments;
let before, same = 0;
function look() {
  const now = JSON.stringify(element.getBoundingClientRect());
  same = now === before ? same + 1 : 0;
  before = now;
  same === 3 ? done() : requestAnimationFrame(look);
}
look();
"""


def chromium(downloads: Path) -> Iterator[Any]:
    """A browser 1280 pixels wide that keeps its console's messages and the requests that it makes."""
    if not CHROMIUM or not DRIVER:
        pytest.skip("no Chromium with its driver; install the packages chromium and chromium-driver")
    options = Options()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1000"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(SECONDS)
    driver.set_script_timeout(SECONDS)
    try:
        yield driver
    finally:
        driver.quit()


def wait(driver: Any, condition: str) -> None:
    """Until a JavaScript expression is true."""
    wait_until(driver, lambda: driver.execute_script(f"return !!({condition})"), condition)


def wait_until(driver: Any, condition: Callable[[], bool], what: str) -> None:
    WebDriverWait(driver, SECONDS, poll_frequency=0.05).until(lambda _: condition(), what)


def wait_for_download(driver: Any, path: Path) -> None:
    """Until a file is whole: Chromium takes its name with an empty file and moves the whole one there."""
    wait_until(driver, lambda: path.exists() and path.stat().st_size > 0, f"{path.name} is there")


def wait_at_rest(driver: Any, element: Any) -> None:
    """Until the element stands still, which it does not while the page scrolls."""
    driver.execute_async_script(AT_REST, element)


def width(driver: Any, pixels: int) -> None:
    size = {"width": pixels, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def dark(driver: Any, on: bool) -> None:
    feature = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def requested(driver: Any) -> list[str]:
    """Addresses that were asked for since the last call, but those of data inside the page."""
    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [address for address in asked if not address.startswith(("data:", "blob:"))]
