"""The page of results: the terminal's numbers, every status, and inert text."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from motools_build.errors import InputError, MissingExtra
from motools_build.report.drawing.csv import csv_of
from motools_build.report.drawing.written import written
from motools_build.report.page.answers import Asked, Heat
from motools_build.report.page.document import document, policy, text
from motools_build.report.page.material import numbers
from motools_build.report.page.tables import LONG, cells
from motools_build.report.page.told import SCRIPT, VIEWER
from motools_build.report.page.whole import page
from motools_build.report.page.words import alike
from motools_build.report.plots.curves import whole_steps
from motools_build.report.plots.look import checked_form, libraries
from motools_build.report.plots.naming import LINE, LINES, in_lines
from motools_build.report.results import Result
from motools_build.report.table import FLAT, table_of
from tests.conftest import Project
from tests.test_comparisons import found

__all__ = ["found"]  # a fixture

Found = Callable[..., list[Result]]

HOSTILE = "<script>alert(1)</script>\"'&\x1b[2J\u202eevil"


class Tags(HTMLParser):
    """The tags of a document and their attributes."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))


def with_statuses(results: list[Result]) -> list[Result]:
    """The results with the seeds of the arm `odd` failed, stale and missing."""
    changed = {
        0: {"status": "failed", "record": None, "note": "it broke"},
        1: {"status": "stale", "note": "made from other rows"},
        2: {"status": "missing", "record": None, "note": "never made"},
    }
    return [
        replace(one, folder=None, **changed[one.cell.seed])
        if one.cell.arm == "odd" and one.cell.seed is not None
        else one
        for one in results
    ]


def shown(markup: str) -> str:
    """The text of a page, without its tags."""
    return unescape(re.sub(r"<[^>]+>", " ", markup))


def test_every_format_has_the_same_numbers(found: Found) -> None:
    results = found()
    table, made = table_of("s", results), page([numbers("s", results)])
    told = [str(m.estimate) for row in table.rows for m in row.metrics]
    told += [str(mean.estimate) for mean in table.means]
    assert len(told) == 9
    for number in told:
        for there in (shown(made), written(table, "latex"), written(table, "md")):
            assert number in there
    flat = [row["value"] for row in table.flat()]
    assert [f"{value:.2f}" for value in flat] == [n.split()[0] for n in told[:7]]
    for value in flat:
        assert str(value) in csv_of(FLAT, table.flat())
    for one in numbers("s", results).compared.found:
        assert one.shown in shown(made)  # in the table
        assert f'{one.shown}"' in unescape(made)  # and said of its mark


def test_failed_stale_and_missing_seeds_are_told_drawn_and_listed(found: Found) -> None:
    made = page([numbers("s", with_statuses(found()))])
    assert "4 of 7 results are up to date" in made
    assert "1 failed, 1 stale, 1 missing" in made
    assert "doit run s" in made
    for status, seed in (("failed", 0), ("stale", 1), ("missing", 2)):
        assert re.search(rf'aria-label="[^"]*seed {seed}: {status}', made), status
        assert f'<tr class="{status}">' in made
    assert "failed (was" not in made
    assert "stale (was 0.88)" in shown(made)


def test_foreign_text_is_inert(found: Found) -> None:
    results = with_statuses(found())
    results = [replace(one, note=one.note and HOSTILE) for one in results]
    made = page([numbers(HOSTILE, results)])
    assert "script" not in {tag for tag, _ in Tags(made).found}
    assert "\x1b" not in made
    assert "\u202e" not in made
    assert "<script>alert(1)</script>" in shown(made)
    assert text(HOSTILE).startswith("&lt;script&gt;")
    assert "␛[2J" in text(HOSTILE)


def test_a_page_loads_nothing_and_its_style_is_allowed(found: Found) -> None:
    made = page([numbers("s", found())])
    assert f'content="{policy()}"' in made
    for tag, attributes in Tags(made).found:
        assert tag not in {"link", "img", "iframe", "object", "base", "form"}
        assert "style" not in attributes, tag  # the policy forbids it
        assert not {"src", "srcset"} & set(attributes)
        assert not (attributes.get("href") or "#").startswith("http")
    assert "sha256-" in policy("let x = 1")
    assert "<script>let x = 1</script>" in document("t", "", "let x = 1")


def test_a_figures_ending_is_checked() -> None:
    assert checked_form(Path("a.PDF")) == ".pdf"
    with pytest.raises(InputError, match=r"ends in \.pdf, \.png or \.svg"):
        checked_form(Path("fig.jpg"))


def test_commands_write_a_page_and_figures(project: Project) -> None:
    project.dataset("s")
    project.setting("s", models='["dummy/echo"]', seeds="[0, 1]")
    ran = project.doit("report", "s")
    assert ran.out.strip() == "s.html"
    assert "doit run s" in (project.root / "s.html").read_text()
    refused = project.doit("plot", "s", "--out", "fig.pdf", code=3)
    assert "no eval with a number to draw" in refused.err
    project.doit("run", "s")
    project.doit("report", "s", "--out", "page.html")
    made = shown((project.root / "page.html").read_text())
    assert "results are up to date." in made
    for told in ("rows, digest", "datasets/s.jsonl", "stages, each below what it is"):
        assert told in made
    for record in project.records("model").values():
        assert record["key"][:8] in made
    begins = {"fig.svg": b"<svg", "fig.pdf": b"%PDF", "fig.png": b"\x89PNG"}
    for name, first in begins.items():
        project.doit("plot", "s", "--out", name)
        assert (project.root / name).read_bytes().startswith(first)
    refused = project.doit("plot", "s", "--out", "fig.gif", code=3)
    assert "ends in .pdf, .png or .svg" in refused.err


def test_without_the_extra_its_name_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(MissingExtra, match=r"pip install 'motools_build\[report\]'"):
        libraries()


def answer(**fields: Any) -> Asked:
    told = {"eval": "e", "group": ("", "d", "m", ""), "draw": "0", "stage": "eval:s/d"}
    words = {"question": HOSTILE, "answer": HOSTILE, "target": "", "log": "a.eval"}
    scores = (("judge", {"fit": 0.25}, HOSTILE),)
    made = {"sample": "1", "scores": scores, "value": 0.25, **told, **words, **fields}
    return Asked(**made)  # type: ignore[arg-type]


def test_answers_are_inert_and_their_script_is_the_only_one(found: Found) -> None:
    one = numbers("s", found())
    group = next(iter(one.names))
    made = page([replace(one, asked=[answer(group=group)])])
    tags = [tag for tag, _ in Tags(made).found]
    assert tags.count("script") == 1
    assert f'content="{policy(SCRIPT)}"' in made
    assert "\x1b" not in made
    assert "\u202e" not in made
    assert "judge fit 0.25" in shown(made)
    assert shown(made).count("<script>alert(1)</script>") == 4  # one in the head line


def test_an_answers_place_in_the_viewer_is_a_link(found: Found) -> None:
    one = numbers("s", found())
    group = next(iter(one.names))
    asked = [answer(group=group, viewed="eval/k/a.eval/samples/sample/%22/1/messages")]
    made = page([replace(one, asked=asked)])
    links = [of for tag, of in Tags(made).found if tag == "a"]
    assert [of["href"] for of in links] == [VIEWER + asked[0].viewed]
    assert links[0]["rel"] == "noopener noreferrer"
    assert "inspect view --log-dir" in shown(made)
    assert not re.search("<a ", page([replace(one, asked=[answer(group=group)])]))


def test_a_long_table_is_folded_below_its_counts(found: Found) -> None:
    one = numbers("s", with_statuses(found()))
    assert "<details" not in cells(one)
    few = one.table.rows
    many = replace(one, table=replace(one.table, rows=(*few, *few)))
    assert len(many.table.rows) == 14 > LONG
    assert "14 results, 8 ok, 2 failed, 2 stale, 2 missing" in shown(cells(many))
    assert cells(many).startswith("<details")


def test_remarks_that_say_the_same_are_one() -> None:
    told = [f"missing  eval:s/d/m/seed{seed}/e: not made yet" for seed in range(5)]
    others = ["plan     not declared: a", "plan     not declared: b"]
    first = ", ".join(f"eval:s/d/m/seed{seed}/e" for seed in range(3))
    assert alike([others[0], *told, "stale    eval:s/a: other rows", others[1]]) == [
        others[0],
        f"missing  5 stages: {first} and 2 more: not made yet",
        "stale    eval:s/a: other rows",
        others[1],
    ]


@pytest.mark.parametrize("last", [2, 3, 9, 10, 16, 99, 1000, 123456])
def test_ticks_of_steps_are_whole_and_few(last: int) -> None:
    ticks = whole_steps([{"x": last}, {"x": 1}])
    assert 2 <= len(ticks) <= 7
    assert 1 <= ticks[0] < ticks[-1] <= last


def test_labels_have_short_lines_and_keep_both_ends() -> None:
    assert in_lines("base model") == "base model"
    long = "the_arm_" * 40 + "end"
    lines = in_lines(long).split("\n")
    assert len(lines) == LINES + 1
    assert max(map(len, lines)) <= LINE
    assert lines[LINES // 2] == "…"
    assert (lines[0][:8], lines[-1][-3:]) == ("the_arm_", "end")
    assert in_lines("a_name_of, several_parts and_words").replace("\n", "") == (
        "a_name_of, several_partsand_words"
    )


def test_a_heat_map_has_the_means_of_the_seeds(found: Found) -> None:
    one = numbers("s", found())
    column = next(iter(one.scales))
    groups = tuple(one.names)[:2]
    lines = (("Is it?", (0.5, None)),)
    heat = Heat(column, groups, lines, of=3, groups_of=2)
    made = page([replace(one, heats=[heat])])
    assert "the 1 questions of 3" in shown(made)
    assert '<td class="h5">0.50</td><td>-</td>' in made
