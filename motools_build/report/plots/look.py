"""The colours and fonts of plots, and their drawing by vl-convert.

A plot is an altair chart. vl-convert draws it without a browser: as SVG, PNG or PDF.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motools_build.errors import InputError, MissingExtra
from motools_build.report.marks.embedding import PLACES
from motools_build.store.files import whole_file

FORMS = (".pdf", ".png", ".svg")
"""Endings of the files that a figure can be written to."""

COLOURS = 8
"""Number of colours; further groups begin with the first again."""

PIXELS = 3.0
"""Pixels of a PNG for each of the figure, so that it can be printed."""


@dataclass(frozen=True)
class Look:
    """The colours of a plot."""

    ink: str
    """The colour of text, axes and lines."""
    muted: str
    """The colour of what belongs to no group, as a base model."""
    palette: tuple[str, ...]
    """One colour for each group, in order."""
    background: str = "transparent"
    font: str = "system-ui, DejaVu Sans, sans-serif"

    def colour(self, index: int) -> str:
        return self.palette[index % len(self.palette)]


PAGE = Look(
    ink="currentColor",
    muted="var(--mut)",
    palette=tuple(f"var(--c{index})" for index in range(COLOURS)),
)
"""The colours of the page, which differ in light, in dark and in print."""

PAPER = Look(
    ink="#1c1d1f",
    muted="#5c5f63",
    palette=(
        *("#3d6b96", "#b04a1f", "#2f7a46", "#7b4fa0"),
        *("#8a6d00", "#a13670", "#3a7d80", "#6b5a4c"),
    ),
    background="white",
    font="DejaVu Sans, Helvetica, Arial, sans-serif",
)


def libraries() -> Any:
    """The module altair. Raises MissingExtra if it or vl-convert is not installed."""
    try:
        import altair
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            "pages and plots need the extra `report`: "
            f"pip install 'motools_build[report]' ({error})"
        ) from error
    return altair


def svg(chart: Any, look: Look) -> str:
    """The chart as SVG. It has no style of its own, so a page's policy allows it."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(_dressed(chart, look)))


def save(chart: Any, look: Look, path: Path, mark: str) -> None:
    """Write the chart to a file, in the form that its name ends in, with the text of
    its mark as metadata.

    Raises InputError for another ending, OSError if it cannot be written.
    """
    import vl_convert

    spec, form = _dressed(chart, look), checked_form(path)
    if form == ".svg":
        data = str(vl_convert.vegalite_to_svg(spec)).encode()
    elif form == ".png":
        data = vl_convert.vegalite_to_png(spec, scale=PIXELS)
    else:
        data = vl_convert.vegalite_to_pdf(spec)
    with whole_file(path) as temporary:
        temporary.write_bytes(PLACES[form](data, mark))


def checked_form(path: Path) -> str:
    """The ending of a figure's name. Raises InputError if it is none of `FORMS`."""
    form = path.suffix.lower()
    if form not in FORMS:
        raise InputError(
            f"--out {path}: a figure's name ends in {', '.join(FORMS[:-1])} or "
            f"{FORMS[-1]}"
        )
    return form


def _dressed(chart: Any, look: Look) -> dict[str, Any]:
    """The chart's specification in these colours."""
    ink = look.ink
    dressed = (
        chart.configure(background=look.background, font=look.font)
        .configure_axis(
            **{f"{part}Color": ink for part in ("label", "title", "grid", "domain")},
            tickColor=ink,
            gridOpacity=0.14,
            domainOpacity=0.4,
            tickOpacity=0.4,
            labelFontSize=12.5,
            titleFontSize=12.5,
            titleFontWeight="normal",
            labelLimit=210,
        )
        .configure_title(color=ink, fontSize=13, anchor="start", fontWeight="bold")
        .configure_view(stroke=None)
    )
    found: dict[str, Any] = dressed.to_dict()
    return found
