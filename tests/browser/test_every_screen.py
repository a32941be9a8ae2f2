"""Pages of results on screens of all widths, in both schemes, and on paper."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Opener, faults
from tests.browser.making import PAGES
from tests.browser.test_pages import MARKS, overflow

pytestmark = [pytest.mark.browser, pytest.mark.long]

WIDTHS = [320, 360, 400, 600, 768, 1024, 1400, 1920, 2560]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_screen(show: Opener, name: str, width: int, scheme: str) -> None:
    opened = show(name, width, scheme)
    assert overflow(opened) == []
    assert all(min(one["marks"]) > 0 for one in opened.told(MARKS))
    assert faults(opened) == []  # unfolds all
    assert overflow(opened) == []
    assert opened.said == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("form", ["A3", "A4", "A5", "Letter"])
def test_a_paper(show: Opener, name: str, form: str) -> None:
    printed = show(name, media="print").page.pdf(format=form)
    assert printed.startswith(b"%PDF")
