"""The whole page of settings' results: their sections in order."""

from __future__ import annotations

from collections.abc import Sequence

from motools_build.report.page import figures, tables, told, words
from motools_build.report.page.document import document, section, text
from motools_build.report.page.material import Material


def page(found: Sequence[Material], head: str = "") -> str:
    """The HTML document of settings' results. `head` is further HTML of its head."""
    title = ", ".join(one.table.setting for one in found)
    inside = "\n".join(body(one) for one in found)
    script = told.SCRIPT if any(one.asked for one in found) else ""
    return document(title, f"<main>\n{inside}\n</main>", script, head=head)


def body(found: Material) -> str:
    """The sections of one setting; those without content are left out."""
    parts = (
        ("Results by model", figures.intervals(found)),
        ("Differences", figures.differences(found) + tables.differences(found)),
        ("Tables", tables.results(found.table)),
        ("Every result and its key", tables.cells(found)),
        ("Scores by question", told.heat_maps(found)),
        ("Answers", told.answers(found)),
        ("Learning curves", figures.curves(found)),
        ("Datasets", told.datasets(found)),
        ("Stages", told.stages(found)),
        ("Cost and time", told.cost(found)),
        ("How the numbers are made", "".join(words.method())),
        ("Versions", words.versions(found)),
        ("Make it again", words.again(found)),
    )
    about = f'<p class="mut">{text(found.description)}</p>' if found.description else ""
    opening = about + words.lead(found) + words.unfinished(found)
    opening += words.damaged(found)
    return (
        f"<article><h1>{text(found.table.setting)}</h1>\n{opening}\n"
        + "\n".join(section(title, content) for title, content in parts)
        + "</article>"
    )
