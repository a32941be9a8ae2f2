"""Large tables are drawn as rich draws them."""

from __future__ import annotations

import io

import pytest

from motools_build.report.drawing.console import console_of
from motools_build.report.drawing.fitting import (
    LISTED,
    WHOLE,
    metrics_table,
    print_fitting,
)
from motools_build.report.drawing.lines import MANY, drawn


def table(rows: int, name: str = "d", width: int = WHOLE) -> object:
    """A table of two headings and two metrics, one of which shows its answers."""
    cells = {
        ("an_eval", "match", "mean"): [(f"{n / rows:.2f}", "3/3") for n in range(rows)],
        ("other", "", ""): [("stale (was 1)", f"{n}/9") for n in range(rows)],
    }
    models = [[f"{name}{n}", str(n % 5)] for n in range(rows)]
    return metrics_table("a setting", ["dataset", "seed"], models, cells, width)


def by_rich(made: object) -> str:
    stream = io.StringIO()
    console_of(stream).print(made)
    return stream.getvalue()


def test_a_large_table_is_that_of_rich() -> None:
    made = table(MANY)
    lines = drawn(made, 200)
    assert lines is not None
    assert "".join(f"{line}\n" for line in lines) == by_rich(made)


def test_it_is_printed() -> None:
    stream = io.StringIO()
    print_fitting(lambda width: table(MANY, width=width), console_of(stream))
    assert stream.getvalue() == by_rich(table(MANY))


def test_a_heading_may_be_the_widest() -> None:
    cells = {("a_long_name_of_an_eval", "s", "mean"): [("1", "")] * MANY}
    made = metrics_table("t", ["d"], [["x"]] * MANY, cells, WHOLE)
    lines = drawn(made, 200)
    assert lines is not None
    assert "".join(f"{line}\n" for line in lines) == by_rich(made)


@pytest.mark.parametrize(
    ("made", "width"),
    [
        (table(MANY - 1), 200),
        (table(MANY), 40),
        (table(MANY, name="d" * 200), 200),
        (table(MANY, name="数"), 200),
        (table(MANY, name="two\nlines"), 200),
        (table(MANY, width=LISTED), 200),
    ],
    ids=["few", "narrow", "wide", "wide characters", "lines", "listed"],
)
def test_rich_draws_the_others(made: object, width: int) -> None:
    assert drawn(made, width) is None


def test_on_a_terminal_rich_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    ours, richs = Terminal(), Terminal()
    print_fitting(lambda width: table(MANY, width=width), console_of(ours))
    console_of(richs).print(table(MANY, width=LISTED))
    assert ours.getvalue() == richs.getvalue()
