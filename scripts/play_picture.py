"""Take the picture of docs/play.md: the playground in headless Chromium, after a while of training.

python scripts/play_picture.py [--seconds 8]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "play.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    command = [sys.executable, "-m", "nndiag", "play", "--no-browser"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = re.search(r"http://\S+", process.stderr.readline())
        assert address is not None
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=options.chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 960})
            page.goto(address[0])
            page.get_by_test_id("status").filter(has_text="step 0").wait_for(timeout=120_000)
            page.get_by_test_id("run").click()
            page.wait_for_timeout(1000 * options.seconds)
            page.screenshot(path=PICTURE)
            browser.close()
        process.terminate()


if __name__ == "__main__":
    main()
