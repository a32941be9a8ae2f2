"""Links from a page's answers into Inspect's viewer, which really runs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import socket
from urllib.request import urlopen

import pytest

from motools_build.report.page.told import VIEWER
from tests.browser.conftest import Opener

pytestmark = pytest.mark.browser

START = 90.0
"""Seconds that the viewer may take to listen, on a busy machine."""


def free_port() -> int:
    with closing(socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def viewer(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of `inspect view --log-dir artifacts/`, on a port of its own."""
    port = free_port()
    log = tmp_path_factory.mktemp("viewer") / "log"
    command = ["inspect_ai", "view", "start", "--log-dir", "artifacts/", "--port"]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, str(port)],
            cwd=folder,
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + START
        while True:
            try:
                urlopen(url, timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.parametrize("name", ["spanish_caps", "hostile"])
def test_a_link_leads_to_the_answer(show: Opener, viewer: str, name: str) -> None:
    page = show(name).page
    answer = page.locator("details[data-eval]").nth(1)
    answer.locator("summary").click()
    said = answer.locator("pre").nth(1).inner_text().split()[0]
    sample = answer.locator("p.mut").inner_text().split(" of eval:")[0]
    link = answer.locator("a").get_attribute("href")
    assert link.startswith(VIEWER)
    page.goto(link.replace(VIEWER, f"{viewer}/#/logs/"))
    page.get_by_text(said).first.wait_for(timeout=60_000)
    shown = page.locator("body").inner_text()
    assert said in shown
    assert f"{sample} (Epoch 1)".lower() in shown.lower()


def test_the_page_says_how_the_viewer_is_started(show: Opener) -> None:
    text = show("spanish_caps").page.locator("body").inner_text()
    assert "inspect view --log-dir artifacts/" in text
    assert "works while that command runs" in text
