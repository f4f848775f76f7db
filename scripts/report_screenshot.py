"""Draw docs/images/report.png, the picture in docs/report.md, from a report in Chromium.

python scripts/report_screenshot.py
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from nndiag.cli.app import main as nndiag

IMAGES = Path(__file__).parent.parent / "docs" / "images"
COMMAND = "gradients --depth 20 --act sigmoid --train 60 --seeds 3 --report"
CHROMIUM = "/usr/bin/chromium"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "report.html"
        nndiag([*COMMAND.split(), str(page)])
        text = page.read_text(encoding="utf-8").replace(str(page), "report.html")
        page.write_text(text, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1180, "height": 1560}, color_scheme="light")
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-drawn=all]", state="attached")
        picture = Image.open(io.BytesIO(tab.screenshot(scale="css")))
        browser.close()
    picture.convert("RGB").quantize(64).save(IMAGES / "report.png", optimize=True)


if __name__ == "__main__":
    main()
