"""Pages of results in a browser: complete, legible on any screen, inert."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser.conftest import Opened, Opener, faults
from tests.browser.making import FAILED, MISSING, PAGES, STALE

pytestmark = pytest.mark.browser

FIGURES = {"simple_math": 2 + 2 + 1, "spanish_caps": 4 + 4 + 1, "hostile": 2 + 2 + 1}
"""Setting -> its plots: of metrics, of differences, of curves."""

HEIGHT = 14_000
"""Largest height of a page in pixels on a phone, before anything is unfolded."""

every_page = pytest.mark.parametrize("name", PAGES)
every_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])

MARKS = """
[...document.querySelectorAll('figure')].map(figure => {
  const svg = figure.querySelector('svg');
  const size = one => { const box = one.getBoundingClientRect();
                        return Math.max(box.width, box.height); };
  const of = query => svg ? [...svg.querySelectorAll(query)] : [];
  const texts = of('text');
  const middle = one => { const box = one.getBoundingClientRect();
                          return (box.top + box.bottom) / 2; };
  const labels = of('[aria-label^="Y-axis"] .role-axis-label text');
  return {
    title: figure.querySelector('figcaption').textContent,
    width: svg ? svg.getBoundingClientRect().width : 0,
    marks: of('.mark-symbol path, .mark-rule line, .mark-line path').map(size),
    named: of('[aria-label] path, path[aria-label]').length,
    labels: labels.map(one => one.textContent),
    beside: of('[aria-label^="Y-axis"] .role-axis-tick line')
      .map((tick, index) => middle(labels[index]) - middle(tick)),
    steps: of('[aria-label^="X-axis"] .role-axis-label text')
      .map(one => one.textContent),
    letters: Math.min(...texts.map(one =>
      parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a)),
  };
})
"""

WIDER = """
() => {
  const width = document.documentElement.clientWidth;
  const scrolled = one => matchMedia('screen').matches
    && one.closest('.scroll') && !one.matches('.scroll');
  return [...document.body.querySelectorAll('*')]
    .filter(one => !scrolled(one) && one.getBoundingClientRect().right > width + 1)
    .map(one => one.outerHTML.slice(0, 120));
}
"""


@every_page
def test_it_asks_for_nothing_and_nothing_fails(show: Opener, name: str) -> None:
    opened = show(name)
    opened.unfold()
    opened.page.wait_for_timeout(200)
    assert opened.said == []
    assert [url.rsplit("/", 1)[-1] for url in opened.asked] == [f"{name}.html"]
    assert opened.page.title() == name


@every_page
@pytest.mark.parametrize("width", [400, 1400])
def test_every_plot_is_drawn(show: Opener, name: str, width: int) -> None:
    figures: list[dict[str, Any]] = show(name, width).told(MARKS)
    assert len(figures) == FIGURES[name]
    for one in figures:
        assert one["width"] > 0.6 * min(width, 500), one
        assert one["marks"], one
        assert min(one["marks"]) > 0, one
        assert one["named"] >= 1, one
        assert len(set(one["labels"])) == len(one["labels"]), one
        assert "…" not in "".join(one["labels"]), one
        assert len(one["beside"]) == len(one["labels"]), one
        assert all(abs(distance) < 5 for distance in one["beside"]), one
        assert one["letters"] > 8.9, one


@every_page
def test_the_steps_of_a_curve_are_whole(show: Opener, name: str) -> None:
    (curve,) = (one for one in show(name).told(MARKS) if one["title"] == "loss")
    assert len(curve["steps"]) >= 2
    assert all(re.fullmatch(r"[\d,]+", step) for step in curve["steps"]), curve


def overflow(opened: Opened) -> list[str]:
    """The elements that reach beyond the right end of the window, but for those in
    boxes that scroll."""
    wide: int = opened.told("document.documentElement.scrollWidth")
    found: list[str] = opened.told(WIDER)
    width = opened.page.viewport_size["width"]
    return found if found or wide <= width else [f"the document is {wide} wide"]


@every_page
@pytest.mark.parametrize("width", [400, 1400])
def test_only_tables_scroll_sideways(show: Opener, name: str, width: int) -> None:
    opened = show(name, width)
    assert overflow(opened) == []
    opened.unfold()
    assert overflow(opened) == []


@every_page
def test_it_is_not_endless_on_a_phone(show: Opener, name: str) -> None:
    opened = show(name, 400)
    assert opened.told("document.documentElement.scrollHeight") < HEIGHT


@every_page
def test_rows_of_tables_are_not_towers(show: Opener, name: str) -> None:
    opened = show(name, 400)
    opened.unfold()
    heights = opened.told(
        "[...document.querySelectorAll('tbody tr')]"
        ".map(one => one.getBoundingClientRect().height)"
    )
    assert len(heights) > 4
    assert max(heights) < 210


@every_page
@every_scheme
def test_no_fault_of_accessibility(show: Opener, name: str, scheme: str) -> None:
    assert faults(show(name, scheme=scheme)) == []


@every_page
def test_paper_shows_what_is_folded(show: Opener, name: str) -> None:
    opened = show(name, 800, scheme="dark", media="print")
    assert opened.told("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    hidden = opened.told(
        "[...document.querySelectorAll('details *')].filter(one => "
        "!one.checkVisibility() || !one.getBoundingClientRect().height)"
        ".filter(one => !one.matches('br, bdi') && one.textContent)"
        ".filter(one => !one.closest('.screen')).map(one => one.outerHTML.slice(0, 99))"
    )
    assert opened.told("document.querySelectorAll('details').length") > 2
    assert hidden == []
    assert not opened.page.locator(".tools").first.is_visible()
    printed = opened.page.pdf(format="A4", print_background=False)
    assert printed.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert pages > 2
    text = opened.told("document.body.innerText")
    assert "question" in text
    assert faults(opened) == []


@every_page
def test_no_table_is_cut_off_on_paper(show: Opener, name: str) -> None:
    width = 680  # what margins of 15 mm leave of A4, in CSS pixels
    assert overflow(show(name, width, media="print")) == []


@every_page
def test_without_scripts_every_answer_can_be_read(show: Opener, name: str) -> None:
    page = show(name, scripts=False).page
    answers = page.locator("details[data-eval]")
    assert answers.count() > 5
    for one in answers.all():
        assert one.is_visible()
    assert not page.locator(".tools").first.is_visible()
    first = answers.first
    assert not first.locator("dl").is_visible()
    first.locator("summary").click()
    assert first.locator("dl").is_visible()
    assert page.locator("figure svg").first.is_visible()


def test_answers_are_filtered(show: Opener) -> None:
    page = show("spanish_caps").page
    answers = page.locator("details[data-eval]")
    every = answers.count()
    tools = page.locator(".tools")
    output = tools.locator("output")
    assert output.inner_text() == f"{every} of {every}"
    of_eval = page.locator("details[data-eval=in_distribution]").count()
    assert 0 < of_eval < every
    tools.get_by_label("eval").select_option("in_distribution")
    assert output.inner_text() == f"{of_eval} of {every}"
    assert page.locator("details[data-eval]:visible").count() == of_eval
    tools.get_by_label("model").select_option("control")
    of_model = page.locator("details[data-eval]:visible")
    assert 0 < of_model.count() < of_eval
    tools.get_by_label("words").fill("no answer has these words")
    assert of_model.count() == 0
    assert output.inner_text() == f"0 of {every}"
    tools.get_by_label("words").fill("")
    tools.get_by_label("eval").select_option("all")
    tools.get_by_label("model").select_option("all")
    assert output.inner_text() == f"{every} of {every}"


def test_markup_of_rows_and_answers_is_text(show: Opener) -> None:
    opened = show("hostile")
    opened.unfold()
    text: str = opened.told("document.body.innerText")
    assert opened.page.title() == "hostile"
    assert text.count("<script>document.title='ran'</script>") > 5
    assert "</pre></dd></dl></details></main></body></html>" in text
    assert "**bold** [link](https://example.com/track.png)" in text
    assert "مرحبا" in text
    assert "🏳️" in text
    for character in "\x1b\x07\u202e\u202c\u200b":
        assert character not in opened.told("document.documentElement.textContent")
    counts = opened.told(
        "['script', 'img', 'i', 'iframe', 'main', 'article']"
        ".map(tag => document.querySelectorAll(tag).length)"
    )
    assert counts == [1, 0, 0, 0, 1, 1]
    assert opened.said == []


def test_failed_stale_and_missing_seeds_are_shown(show: Opener) -> None:
    opened = show("spanish_caps")
    text: str = opened.told("document.body.innerText")
    assert "23 of 26 results are up to date; 1 failed, 1 stale, 1 missing" in text
    for stage in (FAILED, STALE, MISSING):
        assert stage in text
    for status in ("failed", "stale", "missing"):
        marks = opened.page.locator(f"figure [aria-label*=': {status}']")
        assert marks.count() == 2, status  # a seed of an eval with two metrics
