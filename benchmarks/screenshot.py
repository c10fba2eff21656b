"""A picture of the top of `reports/index.html` for docs/outputs.md: `python -m benchmarks.screenshot`."""

from __future__ import annotations

import base64
import tempfile
import time
from pathlib import Path

from tests.helpers import browser

WIDTH, HEIGHT = 1280, 1720


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for driver in browser.chromium(Path(folder)):
            size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            driver.get(f"file://{Path('reports/index.html').resolve()}")
            browser.wait(driver, "document.documentElement.dataset.ready === 'yes'")
            driver.execute_script("document.documentElement.style.overflow = 'hidden'")  # no scroll bar
            time.sleep(1)
            shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
            Path("reports/page.png").write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    main()
