"""The live page in a browser, through runs that end, are killed and break."""

from __future__ import annotations

import re
import select
import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from motools_build.report.paid_jobs import JobLine
from motools_build.report.watched import OfSetting
from motools_build.store.progress import FailedStage, UnderWay
from tests.conftest import Project
from tests.test_live_page import NOW, RUNNING, TOLD, WAITING, Fixed, watched
from tests.test_live_page import served as served_by

pytestmark = [pytest.mark.browser, pytest.mark.real_process]

WIDTHS = (400, 1400)

SECONDS = 60_000
"""How long the page is waited for, in milliseconds."""


@pytest.fixture
def served(tiny: Project) -> Iterator[tuple[str, Any]]:
    """The address of the page of the setting `tiny`, and the process that serves it."""
    tiny.setting("tiny", seeds="[0, 1]", description='"<b>tiny</b>"')
    process = tiny.start("report", "tiny", "--serve")
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0]
        line = process.stdout.readline()
        match = re.match(r"(http://127\.0\.0\.1:\d+/) ", line)
        assert match, line
        yield match[1], process
    finally:
        process.kill()
        process.communicate()


class Seen:
    """A page of a browser, and what went wrong in it."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.page = browser.new_page(**options)
        self.page.set_default_timeout(SECONDS)
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda said: self.problems.append(said.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    def until(self, *parts: str) -> None:
        """Wait until the page has these texts."""
        for part in parts:
            self.page.wait_for_function(
                "part => document.getElementById('live').innerText"
                ".replace(/\\s+/g, ' ').includes(part)",
                arg=part,
            )

    def fits(self) -> None:
        """Assert that the document is not wider than its window, at each width."""
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 800})
            needed = self.page.evaluate("document.documentElement.scrollWidth")
            assert needed <= width


@pytest.mark.parametrize(
    "scheme", ["light", pytest.param("dark", marks=pytest.mark.long)]
)
def test_a_page_is_watched_through_runs(
    browser: Any, served: tuple[str, Any], tiny: Project, scheme: str
) -> None:
    url, process = served
    seen = Seen(browser, url, color_scheme=scheme)
    page = seen.page
    seen.until("No run is under way", "models 0 of 2 up to date, 2 missing")
    seen.fits()

    killed = tiny.start("run", "tiny", MOTOOLS_DUMMY_DELAY="60")
    try:
        seen.until("Run under way", "models 0 of 2 done, 2 running", "0/1 jobs")
        seen.fits()
        assert page.title() == "0/5 tiny"
        assert page.locator("#live progress").count() == 3
    finally:
        killed.kill()
        killed.communicate()
    seen.until("Run killed", "ended without a word;", "doit run tiny goes on")
    seen.fits()

    run = tiny.start("run", "tiny", MOTOOLS_DUMMY_DELAY="3")
    seen.until("Run under way", "models 0 of 2 done, 2 running")
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0, out
    seen.until("Last run, ended at", "everything is up to date", "0.77")
    seen.fits()
    assert page.title() == "tiny"

    tiny.write("zoo/tiny.py", 'raise ValueError("<img src=x onerror=alert(1)>")')
    seen.until("The setting is broken", "<img src=x onerror=alert(1)>")
    assert page.locator("#live img").count() == 0
    seen.fits()
    tiny.setting("tiny")
    seen.until("models 1 of 1 up to date")
    assert seen.problems == []
    assert {*seen.requests} <= {url, f"{url}now", "data:,"}

    process.send_signal(signal.SIGINT)
    page.wait_for_selector("#gone", state="visible")
    assert "doit report tiny --serve --port" in page.inner_text("#gone")
    assert "models 1 of 1 up to date" in page.inner_text("#live").replace("\n", " ")
    page.close()


def test_the_place_the_focus_and_what_is_opened_stay(
    browser: Any, served: tuple[str, Any], tiny: Project
) -> None:
    url, _ = served
    seen = Seen(browser, url, viewport={"width": 400, "height": 300})
    page = seen.page
    seen.until("models 0 of 2 up to date, 2 missing")
    page.locator("#d-tiny summary").click()
    page.locator("#d-tiny summary").focus()
    page.evaluate("document.querySelector('#s-tiny').mark = 'the same'")
    run = tiny.start("run", "tiny", MOTOOLS_DUMMY_DELAY="4")
    seen.until("Run under way")
    page.evaluate("window.scrollTo(0, 150)")
    before = page.inner_text(".run .lead")
    page.wait_for_function(
        "was => document.querySelector('.run .lead').innerText !== was", arg=before
    )
    assert page.evaluate("window.scrollY") == 150
    told = page.evaluate(
        "[document.querySelector('#d-tiny').open,"
        " document.activeElement.parentElement.id,"
        " document.querySelector('#s-tiny').mark]"
    )
    assert told == [True, "d-tiny", "the same"]
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0, out
    seen.until("Last run, ended at", "everything is up to date")
    assert page.evaluate("document.querySelector('#s-tiny').mark") == "the same"
    assert seen.problems == []
    page.close()


def test_without_scripts_the_page_is_loaded_anew(
    browser: Any, served: tuple[str, Any], tiny: Project
) -> None:
    url, _ = served
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    assert "No run is under way" in page.inner_text("#live")
    tiny.doit("run", "tiny")
    page.get_by_text("everything is up to date").wait_for(timeout=SECONDS)
    context.close()


LONG = "model:" + "a_very_long_name_of_a_setting" * 6 + "/seed0"


def test_long_names_fit_a_narrow_window(browser: Any) -> None:
    running = (replace(RUNNING, name=LONG, note=LONG), replace(WAITING, name=LONG))
    told = replace(
        TOLD,
        host=LONG,
        settings=("s", LONG),
        variables={"seeds": LONG},
        running=running,
        failed=(FailedStage(LONG, "k", "eval", NOW, LONG),),
    )
    job = JobLine(LONG, "k", 1, LONG, "submitted", NOW, LONG, None, False, "")
    ended = replace(told, running=(), ended=NOW, summary=(LONG,))
    others = UnderWay("o", True, replace(told, settings=(LONG,)))
    broken = OfSetting(LONG, broken=LONG)
    watch = Fixed()
    alive, dead = UnderWay("a", True, told), UnderWay("d", False, told)
    for found in (
        watched(runs=(alive, dead, others), settings=(broken,), jobs=(job,)),
        watched(last=ended, problem=LONG, settings=()),
    ):
        watch.found = found
        with served_by(watch) as server:
            server.again = f"doit report {LONG} --serve"
            seen = Seen(browser, server.url)
            seen.until(LONG)
            seen.fits()
            seen.page.evaluate("document.getElementById('gone').hidden = false")
            seen.fits()
            assert seen.problems == []
            seen.page.close()
