"""Pages of results in Chromium, for the tests marked `browser`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

HERE = Path(__file__).parent
AXE = HERE / "node_modules/axe-core/axe.min.js"
INSTALL = "npm install --no-package-lock --no-audit --no-fund"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Commands that start Chromium, in the order in which they are looked for."""

MAKING = 600.0
"""Seconds that the pages may take to be made, on a busy machine."""


@dataclass
class Opened:
    """A page in a browser."""

    page: Any
    """The page of playwright."""
    said: list[str] = field(default_factory=list)
    """What its console got, and what was thrown in it."""
    asked: list[str] = field(default_factory=list)
    """The URLs of all requests."""

    def told(self, code: str, of: Any = None) -> Any:
        """The value of a JavaScript expression or function in the page."""
        return self.page.evaluate(code, of)

    def unfold(self) -> None:
        """Open all that is folded."""
        self.told(
            "for (const one of document.querySelectorAll('details')) one.open = 1"
        )


@dataclass
class Opener:
    """Opens pages in one browser."""

    browser: Any
    folder: Path
    contexts: list[Any] = field(default_factory=list)

    def __call__(
        self,
        name: str,
        width: int = 1400,
        scheme: str = "light",
        media: str = "screen",
        scripts: bool = True,
    ) -> Opened:
        """Open the page of a setting. `width` is in CSS pixels, `scheme` is `light` or
        `dark`, `media` is `screen` or `print`."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
        )
        self.contexts.append(context)
        page = context.new_page()
        opened = Opened(page)
        page.on("console", lambda told: opened.said.append(f"{told.type}: {told.text}"))
        page.on("pageerror", lambda error: opened.said.append(f"thrown: {error}"))
        page.on("request", lambda request: opened.asked.append(request.url))
        page.emulate_media(media=media, color_scheme=scheme)
        page.goto((self.folder / f"{name}.html").as_uri())
        return opened

    def close(self) -> None:
        while self.contexts:
            self.contexts.pop().close()


def chromium() -> str:
    """The path of Chromium. Fails the test if there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail(
            f"there is no Chromium: none of {', '.join(NAMES)} is a command; install "
            "it (Debian: apt-get install chromium) and run again"
        )
    return found


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with results of all settings, and their pages. It is made in another
    process: playwright has an event loop in this one, and Inspect needs its own."""
    made = tmp_path_factory.mktemp("pages") / "project"
    ran = subprocess.run(
        [sys.executable, "-m", "tests.browser.making", str(made)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=MAKING,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return made


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for all tests, as the system has it: a second playwright would not
    start in the same process."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        pytest.fail(f"{error}: pip install playwright (it downloads no browser)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium())
        yield found
        found.close()


@pytest.fixture
def show(browser: Any, folder: Path) -> Iterator[Opener]:
    """`show("simple_math", width=400, scheme="dark")` opens a page."""
    opener = Opener(browser, folder)
    yield opener
    opener.close()


def faults(opened: Opened) -> list[str]:
    """The serious and critical faults of accessibility that axe finds in a page, with
    all that is folded open; contrast of text is among them."""
    if not AXE.exists():
        pytest.fail(f"there is no axe-core: run `{INSTALL}` in tests/browser")
    opened.unfold()
    opened.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = opened.told("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > 10  # it has looked
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: "
        + json.dumps([node["html"][:200] for node in one["nodes"][:3]])
        + " ".join(node.get("failureSummary", "") for node in one["nodes"][:2])
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
