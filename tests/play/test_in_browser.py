"""The playground in headless Chromium: steered by its controls, seen by its reader alone."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
]
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs Chromium at {CHROMIUM}"),
    *(
        pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"needs {name}")
        for name in ("playwright", "nicegui")
    ),
]
LONG = 120_000  # milliseconds: the worker loads torch on a busy machine


@pytest.fixture(scope="module")
def playground() -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "nndiag", "play", "--no-browser", "--depth", "4", "--width", "8"],
        stderr=subprocess.PIPE,
        text=True,
        # NiceGUI behaves otherwise where it finds itself under test
        env={k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"},
    ) as process:
        try:
            assert process.stderr is not None
            first = process.stderr.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/\S+", first)
            assert address is not None, first
            yield process, address[0]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def page(playground: tuple[subprocess.Popen[str], str]) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        page.complaints, page.asked = [], []
        page.on("console", lambda m: m.type == "error" and page.complaints.append(m.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(playground[1])
        yield page
        browser.close()


def said(page: Any, text: str) -> None:
    """Wait until the status line says it."""
    page.get_by_test_id("status").filter(has_text=re.compile(text)).wait_for(timeout=LONG)


def test_it_trains_pauses_steps_and_resets(page: Any) -> None:
    said(page, r"^step 0;")
    page.get_by_test_id("run").click()
    said(page, r"^step [1-9]\d+;")  # a fast machine passes 99 between two looks
    page.get_by_test_id("run").click()
    page.get_by_test_id("run").filter(has_text="Run").wait_for(timeout=LONG)
    page.get_by_test_id("reset").click()
    said(page, r"^step 0;")
    page.get_by_test_id("step").click()
    said(page, r"^step 1;")
    page.wait_for_function(
        "document.querySelector('[data-testid=command]').innerText.includes('--train 1')",
        timeout=LONG,
    )
    picture = page.get_by_test_id("plane").locator("img").get_attribute("src")
    assert picture.startswith("data:image/png")


def test_a_control_changes_what_is_trained(page: Any) -> None:
    page.get_by_test_id("act").click()
    page.get_by_role("option", name="sigmoid", exact=True).click()
    command = page.get_by_test_id("command")
    command.filter(has_text="--act sigmoid").wait_for(timeout=LONG)
    said(page, r"^step 0;")
    assert "--init xavier_uniform" in command.inner_text()


def test_a_stopped_training_begins_anew(page: Any) -> None:
    page.get_by_test_id("stop").click()
    said(page, "stopped")
    page.get_by_test_id("run").click()
    said(page, r"^step [1-9]")


def test_nothing_leaves_the_machine_and_nothing_is_wrong(page: Any) -> None:
    outside = [u for u in page.asked if not re.match(r"(http|ws)://127\.0\.0\.1:|data:|blob:", u)]
    assert outside == []
    assert page.complaints == []


def test_without_the_token_there_is_nothing(
    playground: tuple[subprocess.Popen[str], str],
) -> None:
    root = playground[1].rpartition("/")[0]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(root + "/", timeout=60)
    elsewhere = urllib.request.Request(playground[1], headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(elsewhere, timeout=60)


def test_ctrl_c_ends_it_with_its_workers(
    page: Any, playground: tuple[subprocess.Popen[str], str]
) -> None:
    process, _address = playground
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    assert children
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    alive = [pid for pid in children if Path(f"/proc/{pid}/cmdline").exists()]
    assert [
        pid for pid in alive if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ] == []
